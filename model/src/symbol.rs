//! What a ticker symbol may look like.

use crate::instrument;

/// The first character of symbols that are ours (heartbeats); refused from outside.
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
        "the symbol `{0}` holds {1:?}: letters, digits and . - / : ^ = are taken, as in AAPL, BRK.B or X:BTC-USD{hint}",
        hint = hint(.0)
    )]
    BadCharacter(String, char),
    /// One of our own.
    #[error("the symbol `{0}` starts with `~`, which is kept for heartbeats")]
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

/// How a refused symbol is spelt here, for the end of a message.
fn hint(symbol: &str) -> String {
    spelling(symbol).map(|right| format!("; here it is {right}")).unwrap_or_default()
}

/// Exchanges that others put before a symbol, as in `NASDAQ:AAPL`.
const EXCHANGES: [&str; 17] = [
    "NASDAQ",
    "NYSE",
    "AMEX",
    "NYSEARCA",
    "ARCA",
    "NYSEAMERICAN",
    "NYSEMKT",
    "BATS",
    "CBOE",
    "IEX",
    "OTC",
    "OTCMKTS",
    "PINK",
    "XNAS",
    "XNYS",
    "XASE",
    "ARCX",
];

/// How live sources write a symbol that is written here as it is elsewhere:
/// `NASDAQ:AAPL` (TradingView), `BRK-B` (Yahoo), `BF/B`, `AAPL.US`, pairs as `BTCUSDT`
/// and `EUR/USD`, or in small letters alone. None where it is right already, as `BACpA`
/// and `X:BTC-USD` are.
pub fn spelling(symbol: &str) -> Option<String> {
    if let Some(pair) = instrument::spelling(symbol) {
        return (pair != symbol && check(&pair).is_ok()).then_some(pair);
    }
    let is_upper = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase());
    let in_capitals = match symbol.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => symbol.to_owned(),
        false => symbol.to_ascii_uppercase(),
    };
    let mut right = in_capitals.as_str();
    if let Some((exchange, rest)) = right.split_once(':')
        && EXCHANGES.iter().any(|known| exchange.eq_ignore_ascii_case(known))
    {
        right = rest;
    }
    right = right.strip_suffix(".US").or_else(|| right.strip_suffix(":US")).unwrap_or(right);
    let parts = right.split_once(['-', '/', '.']);
    let right = match parts {
        Some((root, share)) if is_upper(root) && root.len() <= 5 && is_upper(share) => {
            // Preferred shares of a series; a class, warrants, units.
            match share.strip_prefix("PR").or_else(|| share.strip_prefix('P')) {
                Some(series) if series.len() == 1 => format!("{root}p{series}"),
                _ if share == "WS" || share == "WT" => format!("{root}.WS"),
                _ if share == "UN" => format!("{root}.U"),
                _ if share.len() == 1 => format!("{root}.{share}"),
                _ => right.to_owned(),
            }
        }
        _ => right.to_owned(),
    };
    (right != symbol && check(&right).is_ok()).then_some(right)
}

/// Whether `symbol` is one of ours: a heartbeat's, which no point, export or page shows.
pub fn is_ours(symbol: &str) -> bool {
    symbol.starts_with(OURS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickers_of_every_market_pass() {
        for symbol in ["A", "AAPL", "BRK.B", "BACpA", "X:BTC-USD", "C:EUR-USD", "BTC-USD", "^GSPC"] {
            assert_eq!(check(symbol), Ok(()), "{symbol}");
        }
    }

    #[test]
    fn symbols_as_other_places_write_them_are_told_as_the_source_does() {
        for (elsewhere, right) in [
            ("NASDAQ:AAPL", "AAPL"),
            ("nasdaq:aapl", "AAPL"),
            ("NYSE:BRK.B", "BRK.B"),
            ("NYSE:BRK/B", "BRK.B"),
            ("BRK-B", "BRK.B"),
            ("brk-b", "BRK.B"),
            ("brk.b", "BRK.B"),
            ("BF/B", "BF.B"),
            ("aapl", "AAPL"),
            ("AAPL.US", "AAPL"),
            ("AAPL:US", "AAPL"),
            ("BRK-B.US", "BRK.B"),
            ("BAC-PL", "BACpL"),
            ("BAC.PRL", "BACpL"),
            ("BAC/PRL", "BACpL"),
            ("ACHR-WT", "ACHR.WS"),
        ] {
            assert_eq!(spelling(elsewhere).as_deref(), Some(right), "{elsewhere}");
            assert_eq!(spelling(right), None, "{right}");
        }
        for right in [
            "AAPL",
            "BRK.B",
            "BRKpA",
            "BACpA",
            "ACHR.WS",
            "X:BTC-USD",
            "C:EUR-USD",
            "I:SPX",
            "^GSPC",
            "7203",
            "A",
            "US",
        ] {
            assert_eq!(spelling(right), None, "{right}");
        }
    }

    #[test]
    fn what_is_no_ticker_is_refused_with_its_reason() {
        for (symbol, reason) in [
            ("", "empty"),
            ("AAPL MSFT", "' '"),
            ("<b>", "'<'"),
            ("~clock0", "heartbeats"),
            ("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "at most 24"),
            ("Ä", "'Ä'"),
        ] {
            let error = check(symbol).unwrap_err().to_string();
            assert!(error.contains(reason), "{symbol}: {error}");
        }
    }
}
