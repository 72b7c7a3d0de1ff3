//! Pairs as other places write them, in the spelling used here.

/// Currencies by ISO 4217, and the two metals that are quoted beside them.
const CURRENCIES: [&str; 39] = [
    "USD", "EUR", "JPY", "GBP", "AUD", "CAD", "CHF", "NZD", "CNY", "CNH", "HKD", "SGD", "SEK", "NOK", "DKK",
    "PLN", "CZK", "HUF", "RON", "BGN", "TRY", "ZAR", "MXN", "BRL", "INR", "KRW", "THB", "IDR", "MYR", "PHP",
    "TWD", "ILS", "AED", "SAR", "CLP", "COP", "RUB", "XAU", "XAG",
];

/// Tokens that are worth a dollar or a euro and that others are quoted in.
const STABLE: [&str; 9] = ["USDT", "USDC", "BUSD", "FDUSD", "TUSD", "USDP", "PYUSD", "EURC", "DAI"];

/// Tokens that are told from tickers of stocks where no separator shows a pair.
const TOKENS: [&str; 32] = [
    "BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "DOT", "LTC", "BCH", "BNB", "AVAX", "LINK", "TRX", "XLM",
    "XMR", "ETC", "ATOM", "UNI", "AAVE", "ALGO", "FIL", "NEAR", "APT", "ARB", "SUI", "TON", "SHIB", "PEPE",
    "EOS", "ZEC", "DASH", "XTZ",
];

/// Places whose names are put before the symbols of pairs of currencies …
const CURRENCY_VENUES: [&str; 7] = ["C", "OANDA", "FX", "FX_IDC", "FOREXCOM", "FOREX", "SAXO"];
/// … and of crypto pairs.
const CRYPTO_VENUES: [&str; 14] = [
    "X",
    "BINANCE",
    "BINANCEUS",
    "KRAKEN",
    "COINBASE",
    "BITSTAMP",
    "BITFINEX",
    "BYBIT",
    "OKX",
    "GEMINI",
    "KUCOIN",
    "HUOBI",
    "CRYPTO",
    "GATEIO",
];

/// The pair that a symbol of elsewhere means: `BTC-USD` (Coinbase, Yahoo), `BTCUSDT`
/// (Binance), `XBT/USD` and `XXBTZUSD` (Kraken), `EURUSD=X` (Yahoo), `OANDA:EUR_USD`.
/// None where no pair can be made out.
pub(crate) fn spelling(symbol: &str) -> Option<String> {
    let capitals = symbol.to_ascii_uppercase();
    let (venue, pair) = match capitals.split_once(':') {
        Some((venue, pair)) => (Some(venue), pair),
        None => (None, capitals.as_str()),
    };
    let of_currencies = venue.is_some_and(|venue| CURRENCY_VENUES.contains(&venue));
    let of_crypto = venue.is_some_and(|venue| CRYPTO_VENUES.contains(&venue));
    if venue.is_some() && !of_currencies && !of_crypto {
        return None;
    }
    let pair = pair.strip_suffix("=X").unwrap_or(pair);
    let parted = ['-', '/', '_', '.'].into_iter().find_map(|separator| {
        let (base, quote) = pair.split_once(separator)?;
        // Of a stock, what follows a dot is its class.
        Some((base, quote, separator == '.'))
    });
    let (base, quote, doubtful) = match parted {
        Some(parted) => parted,
        None => {
            let (base, quote) = halves(pair)?;
            (base, quote, !STABLE.contains(&quote))
        }
    };
    let (base, quote) = (token(base), token(quote));
    let is_token =
        |text: &str| (2..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_token(base) || !is_quote(quote) {
        return None;
    }
    let both_currencies = CURRENCIES.contains(&base) && CURRENCIES.contains(&quote);
    let is_known = both_currencies || TOKENS.contains(&base) || STABLE.contains(&base);
    if doubtful && venue.is_none() && !is_known {
        return None;
    }
    let prefix = match both_currencies && !of_crypto || of_currencies {
        true => "C",
        false => "X",
    };
    Some(format!("{prefix}:{base}-{quote}"))
}

fn is_quote(text: &str) -> bool {
    CURRENCIES.contains(&text) || STABLE.contains(&text) || TOKENS[..2].contains(&text)
}

/// A pair without a separator: cut behind a base that is known, else before the longest
/// quote that it ends with.
fn halves(pair: &str) -> Option<(&str, &str)> {
    if pair.len() < 6 || !pair.is_ascii() {
        return None;
    }
    // Kraken puts X before tokens and Z before currencies of its first years.
    if let (8, Some(rest)) = (pair.len(), pair.strip_prefix('X'))
        && rest.as_bytes()[3] == b'Z'
        && CURRENCIES.contains(&&rest[4..])
    {
        return Some((&rest[..3], &rest[4..]));
    }
    let cuts = || {
        let ends = [5, 4, 3].into_iter().filter_map(|length| pair.len().checked_sub(length));
        ends.map(|at| pair.split_at(at)).filter(|(_, quote)| is_quote(token(quote)))
    };
    let is_known = |base: &str| CURRENCIES.contains(&base) || TOKENS.contains(&base);
    cuts().find(|(base, _)| is_known(token(base))).or_else(|| cuts().find(|(base, _)| base.len() >= 2))
}

/// A token by its usual name.
fn token(name: &str) -> &str {
    match name {
        "XBT" => "BTC",
        "XDG" => "DOGE",
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use crate::symbol;

    #[test]
    fn pairs_of_other_places_are_spelt_as_here() {
        for (elsewhere, right) in [
            ("BTCUSDT", "X:BTC-USDT"),
            ("btcusdt", "X:BTC-USDT"),
            ("FLOKIUSDT", "X:FLOKI-USDT"),
            ("BTCUSD", "X:BTC-USD"),
            ("XBT/USD", "X:BTC-USD"),
            ("XBTUSD", "X:BTC-USD"),
            ("XXBTZUSD", "X:BTC-USD"),
            ("XDG/EUR", "X:DOGE-EUR"),
            ("BTC-USD", "X:BTC-USD"),
            ("btc-usd", "X:BTC-USD"),
            ("BTC/USD", "X:BTC-USD"),
            ("ETHBTC", "X:ETH-BTC"),
            ("WIF-USD", "X:WIF-USD"),
            ("BINANCE:BTCUSDT", "X:BTC-USDT"),
            ("COINBASE:BTC-USD", "X:BTC-USD"),
            ("KRAKEN:EURUSD", "X:EUR-USD"),
            ("X:BTCUSD", "X:BTC-USD"),
            ("x:btcusd", "X:BTC-USD"),
            ("x:btc-usd", "X:BTC-USD"),
            ("EURUSD", "C:EUR-USD"),
            ("EUR/USD", "C:EUR-USD"),
            ("EUR_USD", "C:EUR-USD"),
            ("EUR.USD", "C:EUR-USD"),
            ("EURUSD=X", "C:EUR-USD"),
            ("OANDA:EUR_USD", "C:EUR-USD"),
            ("FX:USDJPY", "C:USD-JPY"),
            ("C:EURUSD", "C:EUR-USD"),
            ("c:eur-usd", "C:EUR-USD"),
        ] {
            assert_eq!(symbol::spelling(elsewhere).as_deref(), Some(right), "{elsewhere}");
            assert_eq!(symbol::spelling(right), None, "{right}");
        }
    }

    #[test]
    fn stocks_whose_tickers_hold_names_of_currencies_are_left_alone() {
        for stock in ["BTC", "ETH", "USD", "EUR", "UUP", "GUSD", "BITO", "TRX", "SUI", "EURC", "A", "AUSD"] {
            assert_eq!(symbol::spelling(stock), None, "{stock}");
        }
        for (stock, right) in [("BRK-B", "BRK.B"), ("BF/B", "BF.B"), ("NASDAQ:AAPL", "AAPL")] {
            assert_eq!(symbol::spelling(stock).as_deref(), Some(right));
        }
    }

    #[test]
    fn a_refused_symbol_of_a_pair_is_answered_with_its_spelling() {
        let error = symbol::check("OANDA:EUR_USD").unwrap_err().to_string();
        assert!(error.contains("C:EUR-USD"), "{error}");
        let error = symbol::check("EUR USD").unwrap_err().to_string();
        assert!(!error.contains("here it is"), "{error}");
    }
}
