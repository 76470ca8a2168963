//! `FETCH` and `MOVE` in all their forms: `FETCH c`, `FETCH NEXT FROM c`, `MOVE FORWARD 5 IN "c"`.
//!
//! sqlparser knows some of them. It has no statement for `MOVE`: here it is a `FETCH INTO` this name.

use datafusion::sql::sqlparser::ast::{FetchDirection, FetchPosition, Ident, ObjectName, Statement, Value};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, Word};

const NOWHERE: &str = "dovetail.nowhere";

/// The statement, if it is one of the two and nothing else.
pub(crate) fn fetch_command(sql: &str) -> Option<Statement> {
    let first = sql.split_whitespace().next()?;
    let is_move = first.eq_ignore_ascii_case("move");
    if !is_move && !first.eq_ignore_ascii_case("fetch") {
        return None;
    }
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize().ok()?;
    let mut tokens: Vec<Token> = tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    while tokens.last() == Some(&Token::SemiColon) {
        tokens.pop();
    }
    let Token::Word(name) = tokens.pop()? else { return None };
    let mut words: &[Token] = tokens.get(1..)?;
    if let [before @ .., Token::Word(Word { keyword: Keyword::FROM | Keyword::IN, .. })] = words {
        words = before;
    }
    let into = is_move.then(|| ObjectName::from(vec![Ident::new(NOWHERE)]));
    let name = Ident { value: name.value, quote_style: name.quote_style, span: Ident::new("").span };
    Some(Statement::Fetch { name, direction: direction(words)?, position: FetchPosition::From, into })
}

fn direction(words: &[Token]) -> Option<FetchDirection> {
    let keyword = |token: &Token| match token {
        Token::Word(word) => Some(word.keyword),
        _ => None,
    };
    let (first, rest) = match words {
        [] => return Some(FetchDirection::Next),
        [first, rest @ ..] => (first, rest),
    };
    Some(match (keyword(first), rest) {
        (Some(Keyword::NEXT), []) => FetchDirection::Next,
        (Some(Keyword::ALL), []) => FetchDirection::All,
        (Some(Keyword::FORWARD), []) => FetchDirection::Next,
        (Some(Keyword::FORWARD), [word]) if keyword(word) == Some(Keyword::ALL) => FetchDirection::ForwardAll,
        (Some(Keyword::FORWARD), [count]) => FetchDirection::Forward { limit: Some(number(count)?) },
        (Some(Keyword::PRIOR | Keyword::FIRST | Keyword::LAST | Keyword::BACKWARD), _)
        | (Some(Keyword::ABSOLUTE | Keyword::RELATIVE), _) => FetchDirection::Prior,
        (None, []) => FetchDirection::Count { limit: number(first)? },
        (None, [_]) if *first == Token::Minus => FetchDirection::Prior,
        _ => return None,
    })
}

fn number(token: &Token) -> Option<datafusion::sql::sqlparser::ast::ValueWithSpan> {
    match token {
        Token::Number(digits, long) => Some(Value::Number(digits.clone(), *long).into()),
        _ => None,
    }
}

/// Whether a `FETCH` is a `MOVE`, which skips rows and returns none.
pub(crate) fn is_move(into: Option<&ObjectName>) -> bool {
    into.is_some_and(|name| name.to_string() == NOWHERE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_them() {
        for (sql, name, moves, expected) in [
            ("FETCH c", "c", false, FetchDirection::Next),
            ("fetch next from c;", "c", false, FetchDirection::Next),
            ("FETCH FORWARD FROM \"C d\"", "C d", false, FetchDirection::Next),
            ("MOVE ALL IN c", "c", true, FetchDirection::All),
            ("move forward all c", "c", true, FetchDirection::ForwardAll),
            ("FETCH BACKWARD 2 FROM c", "c", false, FetchDirection::Prior),
            ("FETCH -1 FROM c", "c", false, FetchDirection::Prior),
        ] {
            let Some(Statement::Fetch { name: found, direction, into, .. }) = fetch_command(sql) else {
                panic!("{sql}")
            };
            assert_eq!((found.value.as_str(), is_move(into.as_ref()), direction), (name, moves, expected), "{sql}");
        }
        let five = FetchDirection::Forward { limit: Some(Value::Number("5".to_owned(), false).into()) };
        let Some(Statement::Fetch { direction, .. }) = fetch_command("MOVE FORWARD 5 FROM c") else { panic!() };
        assert_eq!(direction, five);
        for other in ["SELECT 1", "FETCH", "FETCH NEXT FROM c INTO x", "MOVE 1; SELECT 1", "MOVE mountains FROM c"] {
            assert_eq!(fetch_command(other), None, "{other}");
        }
    }
}
