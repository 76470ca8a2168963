//! Templates for numbers, by the rules of PostgreSQL's `NUM_processor`.

use datafusion::common::{Result, exec_err};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NumberToken {
    Nine,
    Zero,
    Point,
    Comma,
    Minus,
    Plus,
    Sign,
    /// `S`, which is written with the digits.
    Anchored,
    Brackets,
    Text(char),
}

/// The place of `S`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anchor {
    None,
    Before,
    Behind,
}

#[derive(Debug)]
pub(super) struct NumberTemplate {
    tokens: Vec<NumberToken>,
    fill: bool,
    before: usize,
    behind: usize,
    has_point: bool,
    /// Positions of the first `0` and behind the last one.
    zeros: Option<(usize, usize)>,
    anchor: Anchor,
    minus: bool,
    plus: bool,
    brackets: bool,
}

impl NumberTemplate {
    pub(super) fn parse(template: &str) -> Result<Self> {
        let mut parsed = Self {
            tokens: vec![],
            fill: false,
            before: 0,
            behind: 0,
            has_point: false,
            zeros: None,
            anchor: Anchor::None,
            minus: false,
            plus: false,
            brackets: false,
        };
        let mut anchored_at = 0;
        let mut rest = template;
        while let Some(first) = rest.chars().next() {
            let upper = rest.get(..2).map(str::to_ascii_uppercase).unwrap_or_default();
            let (length, token) = match (upper.as_str(), first) {
                ("FM", _) => {
                    parsed.fill = true;
                    (2, None)
                }
                ("MI", _) => (2, Some(NumberToken::Minus)),
                ("PL", _) => (2, Some(NumberToken::Plus)),
                ("SG", _) => (2, Some(NumberToken::Sign)),
                ("PR", _) => (2, Some(NumberToken::Brackets)),
                ("TH" | "RN" | "EE", _) | (_, 'L' | 'l' | 'V' | 'v') => {
                    return exec_err!(
                        "`{template}`: TH, RN, EEEE, L and V are not supported in a template for numbers"
                    );
                }
                (_, '9') => (1, Some(NumberToken::Nine)),
                (_, '0') => (1, Some(NumberToken::Zero)),
                (_, '.' | 'D' | 'd') => (1, Some(NumberToken::Point)),
                (_, ',' | 'G' | 'g') => (1, Some(NumberToken::Comma)),
                (_, 'S' | 's') => (1, Some(NumberToken::Anchored)),
                (_, '"') => {
                    let text: String = rest[1..].chars().take_while(|c| *c != '"').collect();
                    parsed.tokens.extend(text.chars().map(NumberToken::Text));
                    ((text.len() + 2).min(rest.len()), None)
                }
                (_, other) => (other.len_utf8(), Some(NumberToken::Text(other))),
            };
            rest = &rest[length..];
            let Some(token) = token else { continue };
            match token {
                NumberToken::Nine | NumberToken::Zero if parsed.brackets => {
                    return exec_err!("\"9\" and \"0\" must be ahead of \"PR\"");
                }
                NumberToken::Nine if parsed.has_point => parsed.behind += 1,
                NumberToken::Nine => parsed.before += 1,
                NumberToken::Zero => {
                    let first = parsed.zeros.map_or(parsed.before, |(first, _)| first);
                    // Only a zero before the point makes leading zeros.
                    let first = if parsed.zeros.is_none() && parsed.has_point { usize::MAX } else { first };
                    match parsed.has_point {
                        true => parsed.behind += 1,
                        false => parsed.before += 1,
                    }
                    parsed.zeros = Some((first, parsed.before + parsed.behind));
                }
                NumberToken::Point if parsed.has_point => return exec_err!("multiple decimal points"),
                NumberToken::Point => parsed.has_point = true,
                NumberToken::Anchored if parsed.anchor != Anchor::None => return exec_err!("cannot use \"S\" twice"),
                NumberToken::Anchored => {
                    anchored_at = parsed.before;
                    parsed.anchor = if parsed.has_point { Anchor::Behind } else { Anchor::Before };
                }
                NumberToken::Minus => parsed.minus = true,
                NumberToken::Plus => parsed.plus = true,
                NumberToken::Sign => (parsed.minus, parsed.plus) = (true, true),
                NumberToken::Brackets => parsed.brackets = true,
                NumberToken::Comma | NumberToken::Text(_) => {}
            }
            if parsed.anchor != Anchor::None && (parsed.minus || parsed.plus || parsed.brackets) {
                return exec_err!("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together");
            }
            if parsed.brackets && (parsed.minus || parsed.plus) {
                return exec_err!("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together");
            }
            parsed.tokens.push(token);
        }
        if parsed.anchor == Anchor::Before && anchored_at == parsed.before {
            parsed.anchor = Anchor::Behind;
        }
        Ok(parsed)
    }

    /// Formats a number written out exactly: `-123.45`.
    pub(super) fn exact(&self, number: &str) -> String {
        let (sign, digits) = number.strip_prefix('-').map_or(('+', number), |digits| ('-', digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let rounded = rounded(whole, fraction, self.behind);
        // A number rounded to zero has no sign.
        let sign = if rounded.bytes().all(|digit| matches!(digit, b'0' | b'.')) { '+' } else { sign };
        self.written(sign, &rounded)
    }

    /// Formats a float, of which fifteen digits are known.
    pub(super) fn float(&self, number: f64) -> String {
        if !number.is_finite() {
            return self.written(if number < 0.0 { '-' } else { '+' }, &"#".repeat(self.before + 1));
        }
        let whole = format!("{:.0}", number.abs()).len();
        let behind = self.behind.min(15_usize.saturating_sub(whole));
        let digits = format!("{:.behind$}", number.abs());
        let sign =
            if number.is_sign_negative() && digits.bytes().any(|b| (b'1'..=b'9').contains(&b)) { '-' } else { '+' };
        self.written(sign, &digits)
    }

    fn written(&self, sign: char, number: &str) -> String {
        let whole = number.split('.').next().map_or(0, str::len);
        // In PostgreSQL zero has one digit before the point, also if the template has none there.
        let number: Vec<char> = match whole > self.before {
            true if self.before == 0 && number.starts_with("0.") => number.chars().skip(1).collect(),
            true => {
                let mut marks = vec!['#'; self.before + self.behind + 1];
                marks[self.before] = '.';
                marks
            }
            false => number.chars().collect(),
        };
        let whole = number.iter().position(|c| *c == '.').unwrap_or(number.len());
        let spaces = self.before.saturating_sub(whole);
        let brackets = self.brackets && !(sign != '-' && self.fill);
        let sign_written = match (self.plus, self.minus) {
            (true, false) => false,
            (_, true) => true,
            (false, false) => sign == '+' && self.fill && self.anchor == Anchor::None,
        };
        let mut writing = Writing {
            template: self,
            sign,
            spaces,
            brackets,
            sign_written,
            last_relevant: self.last_relevant(&number, spaces),
            number,
            at: 0,
            position: 0,
            in_number: false,
            count: (self.before + self.behind).saturating_sub(1),
            out: String::new(),
        };
        if !writing.sign_written && spaces == 0 {
            writing.count += 1;
        }
        for token in &self.tokens {
            writing.token(*token);
        }
        writing.out
    }

    /// Index of the last digit written; for `FM`.
    fn last_relevant(&self, number: &[char], spaces: usize) -> Option<usize> {
        if !self.fill || !self.has_point {
            return None;
        }
        let point = number.iter().position(|c| *c == '.')?;
        let last = (point..number.len()).rev().find(|at| *at == point || number[*at] != '0')?;
        match self.zeros {
            Some((_, end)) if end > spaces => Some(last.max((number.len() - 1).min(end - spaces))),
            _ => Some(last),
        }
    }
}

/// The digits with `behind` of them after the point, half away from zero.
fn rounded(whole: &str, fraction: &str, behind: usize) -> String {
    let mut digits: Vec<u8> =
        whole.bytes().chain(fraction.bytes().chain(std::iter::repeat(b'0')).take(behind)).collect();
    if fraction.as_bytes().get(behind).is_some_and(|digit| *digit >= b'5') {
        let nines = digits.iter().rev().take_while(|digit| **digit == b'9').count();
        let length = digits.len();
        digits[length - nines..].fill(b'0');
        match length - nines {
            0 => digits.insert(0, b'1'),
            at => digits[at - 1] += 1,
        }
    }
    let mut text = String::from_utf8(digits).unwrap_or_default();
    if behind > 0 {
        text.insert(text.len() - behind, '.');
    }
    text
}

struct Writing<'a> {
    template: &'a NumberTemplate,
    sign: char,
    spaces: usize,
    brackets: bool,
    sign_written: bool,
    last_relevant: Option<usize>,
    number: Vec<char>,
    /// Index of the number's next character.
    at: usize,
    /// Position of the template's next digit or point.
    position: usize,
    in_number: bool,
    count: usize,
    out: String,
}

impl Writing<'_> {
    fn token(&mut self, token: NumberToken) {
        let fill = self.template.fill;
        match token {
            NumberToken::Nine | NumberToken::Zero | NumberToken::Point => self.digit(token),
            NumberToken::Comma if self.in_number => self.out.push(','),
            NumberToken::Comma if fill => {}
            NumberToken::Comma => self.out.push(' '),
            NumberToken::Minus => match self.sign {
                '-' => self.out.push('-'),
                _ if fill => {}
                _ => self.out.push(' '),
            },
            NumberToken::Plus => match self.sign {
                '+' => self.out.push('+'),
                _ if fill => {}
                _ => self.out.push(' '),
            },
            NumberToken::Sign => self.out.push(self.sign),
            NumberToken::Anchored | NumberToken::Brackets => {}
            NumberToken::Text(letter) => self.out.push(letter),
        }
    }

    fn makes_zeros(&self) -> Option<usize> {
        self.template.zeros.map(|(first, _)| first).filter(|first| *first != usize::MAX)
    }

    /// `0.1` in `9.9`: the zero becomes a space.
    fn is_space_before_point(&self) -> bool {
        self.makes_zeros().is_none() && self.at == 0 && self.number.first() == Some(&'0') && self.template.behind != 0
    }

    fn last_is_point(&self) -> bool {
        self.last_relevant.is_some_and(|last| self.number[last] == '.')
    }

    fn digit(&mut self, token: NumberToken) {
        let fill = self.template.fill;
        let zeros = self.makes_zeros();
        if !self.sign_written
            && (self.position >= self.spaces || zeros == Some(self.position))
            && (!self.is_space_before_point() || self.last_is_point())
        {
            match (self.template.anchor, self.brackets, self.sign) {
                (Anchor::Before, _, sign) => self.out.push(sign),
                (Anchor::Behind, ..) => {}
                (_, true, sign) => self.out.push(if sign == '+' { ' ' } else { '<' }),
                (_, _, '+') if fill => {}
                (_, _, '+') => self.out.push(' '),
                (_, _, _) => self.out.push('-'),
            }
            // A sign behind the digits is written at their end.
            self.sign_written = true;
        }
        if self.position < self.spaces && zeros.is_none_or(|first| first > self.position) {
            if !fill {
                self.out.push(' ');
            }
        } else if self.position < self.spaces {
            self.out.push('0');
            self.in_number = true;
        } else {
            match self.number.get(self.at) {
                Some('.') if !self.last_is_point() || fill => self.out.push('.'),
                Some('.') | None => {}
                Some(digit) => {
                    let is_cut = self.last_relevant.is_some_and(|last| self.at > last) && token != NumberToken::Zero;
                    if is_cut {
                        // Nothing is written in its place.
                    } else if self.is_space_before_point() {
                        if !fill {
                            self.out.push(' ');
                        } else if self.last_is_point() {
                            self.out.push('0');
                        }
                    } else {
                        self.out.push(*digit);
                        self.in_number = true;
                    }
                }
            }
            if self.at < self.number.len() {
                self.at += 1;
            }
        }
        let mut end = self.count + usize::from(self.spaces > 0) + usize::from(self.template.has_point);
        if self.last_relevant == Some(self.at) {
            end = self.position;
        }
        if self.position + 1 == end {
            if self.brackets {
                self.out.push(if self.sign == '+' { ' ' } else { '>' });
            } else if self.template.anchor == Anchor::Behind {
                self.out.push(self.sign);
            }
        }
        self.position += 1;
    }
}
