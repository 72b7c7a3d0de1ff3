//! What a ticker symbol may look like.

/// The first character of symbols that are ours (clock records); refused from outside.
pub const OURS: char = '~';

/// The longest symbol taken, in characters.
pub const MAX_LENGTH: usize = 24;

/// Why a symbol was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSymbol {
    /// Nothing there.
    #[error("the symbol is empty")]
    Empty,
    /// Longer than [`MAX_LENGTH`].
    #[error("the symbol has {0} characters, at most {MAX_LENGTH} are taken")]
    TooLong(usize),
    /// A character that no ticker has.
    #[error(
        "the symbol `{0}` holds {1:?}: letters, digits and . - / : ^ = are taken, as in AAPL, BRK.B or X:BTCUSD"
    )]
    BadCharacter(String, char),
    /// One of our own.
    #[error("the symbol `{0}` starts with `~`, which is kept for clock records")]
    Ours(String),
}

/// Checks a symbol from outside. Case matters: `BACpA` and `BACPA` differ.
///
/// # Errors
/// Says which rule the symbol breaks.
pub fn check(symbol: &str) -> Result<(), BadSymbol> {
    if symbol.is_empty() {
        return Err(BadSymbol::Empty);
    }
    let length = symbol.chars().count();
    if length > MAX_LENGTH {
        return Err(BadSymbol::TooLong(length));
    }
    if is_ours(symbol) {
        return Err(BadSymbol::Ours(symbol.to_owned()));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '/' | ':' | '^' | '=');
    match symbol.chars().find(|&c| !allowed(c)) {
        Some(c) => Err(BadSymbol::BadCharacter(symbol.to_owned(), c)),
        None => Ok(()),
    }
}

/// Whether `symbol` is one of ours: a clock record's, which no point, export or page shows.
pub fn is_ours(symbol: &str) -> bool {
    symbol.starts_with(OURS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickers_of_every_market_pass() {
        for symbol in ["A", "AAPL", "BRK.B", "BACpA", "X:BTCUSD", "C:EURUSD", "BTC-USD", "^GSPC"] {
            assert_eq!(check(symbol), Ok(()), "{symbol}");
        }
    }

    #[test]
    fn what_is_no_ticker_is_refused_with_its_reason() {
        for (symbol, reason) in [
            ("", "empty"),
            ("AAPL MSFT", "' '"),
            ("<b>", "'<'"),
            ("~clock0", "clock records"),
            ("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "at most 24"),
            ("Ä", "'Ä'"),
        ] {
            let error = check(symbol).unwrap_err().to_string();
            assert!(error.contains(reason), "{symbol}: {error}");
        }
    }
}
