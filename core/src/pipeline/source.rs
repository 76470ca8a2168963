//! A pipeline's text, cut into statements, so that one bad statement does not hide the errors of the next.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, TokenizerError};

/// DataFusion's own default, the dialect in which views are planned.
pub(super) const DIALECT: GenericDialect = GenericDialect {};

/// Greatest length of the title of a statement without a name, in characters.
const TITLE_CHARS: usize = 40;

/// The tokens of one statement, with the `;` that ends it if there is one. Places are those of the whole text.
#[derive(Debug, Clone, Default)]
pub(super) struct StatementTokens {
    pub(super) tokens: Vec<TokenWithSpan>,
}

/// Cuts `text` at its semicolons. When a token is malformed (a string without an end), the last piece holds what
/// was read of its statement, and the error comes along.
pub(super) fn split(text: &str) -> (Vec<StatementTokens>, Option<TokenizerError>) {
    let mut tokens = Vec::new();
    let error = Tokenizer::new(&DIALECT, text).tokenize_with_location_into_buf(&mut tokens).err();
    let mut pieces = vec![StatementTokens::default()];
    for token in tokens {
        let ends = token.token == Token::SemiColon;
        if let Some(piece) = pieces.last_mut() {
            piece.tokens.push(token);
        }
        if ends {
            pieces.push(StatementTokens::default());
        }
    }
    (pieces, error)
}

impl StatementTokens {
    /// The tokens that mean something: no white space, no comments, no `;`.
    pub(super) fn words(&self) -> Vec<&TokenWithSpan> {
        let means = |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_) | Token::SemiColon);
        self.tokens.iter().filter(means).collect()
    }

    /// The tokens for the parser. A `>>` that closes two types becomes two tokens: as one, the parser takes the tokens
    /// after it, such as `[]`, for a part of the inner type.
    pub(super) fn to_parse(&self) -> Vec<TokenWithSpan> {
        let mut open = 0_usize;
        let mut before = &Token::EOF;
        let mut tokens = Vec::with_capacity(self.tokens.len());
        for token in &self.tokens {
            let mut closes_two = false;
            match token.token {
                Token::Lt if brackets_type(before) => open += 1,
                Token::Gt => open = open.saturating_sub(1),
                Token::ShiftRight if open >= 2 => {
                    open -= 2;
                    closes_two = true;
                }
                _ => {}
            }
            if closes_two {
                let (start, end) = (token.span.start, token.span.end);
                let middle = Location::new(start.line, start.column + 1);
                tokens.push(TokenWithSpan { token: Token::Gt, span: Span::new(start, middle) });
                tokens.push(TokenWithSpan { token: Token::Gt, span: Span::new(middle, end) });
            } else {
                tokens.push(token.clone());
            }
            if !matches!(token.token, Token::Whitespace(_)) {
                before = &token.token;
            }
        }
        tokens
    }

    /// The place at which the statement starts.
    pub(super) fn start(&self) -> Location {
        let first = self.words().first().map(|token| token.span.start);
        first.or_else(|| self.tokens.first().map(|token| token.span.start)).unwrap_or(Location::new(1, 1))
    }

    /// The title in errors of a statement that could not be parsed: "view `x`", "table `x`", or its first line.
    pub(super) fn title(&self, text: &str) -> String {
        let words = self.words();
        let keyword = |i: usize| words.get(i).map(|token| keyword(&token.token));
        let name = |i: usize| match words.get(i).map(|token| &token.token) {
            Some(Token::Word(word)) => Some(word.value.clone()),
            _ => None,
        };
        let create = keyword(0) == Some(Keyword::CREATE);
        match (create, keyword(1), keyword(2)) {
            (true, Some(Keyword::VIEW), _) => name(2).map(|name| format!("view `{name}`")),
            (true, Some(Keyword::EXTERNAL), Some(Keyword::TABLE)) => name(3).map(|name| format!("table `{name}`")),
            _ => None,
        }
        .unwrap_or_else(|| first_line(text, self.start()))
    }

    /// Greatest depth to which types and expressions can nest, judged by their brackets; `INT[][]` counts as two.
    pub(super) fn depth(&self) -> usize {
        let (mut depth, mut deepest, mut arrays) = (0_usize, 0, 0);
        let mut before = &Token::EOF;
        for TokenWithSpan { token, .. } in self.words() {
            match token {
                Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
                Token::Lt if brackets_type(before) => depth += 1,
                Token::RParen | Token::RBracket | Token::RBrace | Token::Gt => depth = depth.saturating_sub(1),
                Token::ShiftRight => depth = depth.saturating_sub(2),
                _ => {}
            }
            match token {
                Token::LBracket => arrays += 1,
                Token::RBracket | Token::Number(..) => {}
                _ => arrays = 0,
            }
            deepest = deepest.max(depth).max(arrays);
            before = token;
        }
        deepest
    }
}

fn brackets_type(token: &Token) -> bool {
    matches!(keyword(token), Keyword::ARRAY | Keyword::STRUCT | Keyword::MAP)
}

/// The keyword of a token; none for a quoted word.
pub(super) fn keyword(token: &Token) -> Keyword {
    match token {
        Token::Word(word) => word.keyword,
        _ => Keyword::NoKeyword,
    }
}

/// The text between two places; `None` when they lie outside of it.
pub(super) fn slice(text: &str, from: Location, to: Location) -> Option<&str> {
    text.get(byte_offset(text, from)?..byte_offset(text, to)?)
}

/// Places count lines from 1 and, as the tokenizer does, characters of a line from 1; only `\n` ends a line.
fn byte_offset(text: &str, place: Location) -> Option<usize> {
    let line = usize::try_from(place.line).ok()?.checked_sub(1)?;
    let column = usize::try_from(place.column).ok()?.checked_sub(1)?;
    let line_start = match line {
        0 => 0,
        _ => text.match_indices('\n').nth(line - 1)?.0 + 1,
    };
    let rest = &text[line_start..];
    let ends = rest.char_indices().map(|(i, _)| i).chain([rest.len()]);
    Some(line_start + ends.into_iter().nth(column)?)
}

fn first_line(text: &str, start: Location) -> String {
    let rest = byte_offset(text, start).and_then(|offset| text.get(offset..)).unwrap_or_default();
    let line = rest.lines().next().unwrap_or_default().trim();
    let line = line.split(';').next().unwrap_or_default().replace('`', "'");
    match line.char_indices().nth(TITLE_CHARS) {
        Some((end, _)) => format!("`{}...`", line[..end].trim_end()),
        None => format!("`{line}`"),
    }
}
