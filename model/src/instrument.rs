//! Instruments: what a symbol's prefix says of the market that it is traded on.
//!
//! Symbols are one name space, spelt as Massive (formerly Polygon) spells them: `AAPL` is
//! a stock, `X:BTC-USD` a crypto pair, `C:EUR-USD` a pair of currencies. The prefix gives
//! the asset class, and the class the topic and the measurement of bars, the calendar and
//! whether volume means anything.

use serde::{Deserialize, Serialize};

use crate::calendar::Calendar;
use crate::symbol;
use crate::topic::{self, Topic};

mod pairs;

pub(crate) use pairs::spelling;

/// A kind of market: its bars share one topic, and so one clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AssetClass {
    /// Equities of the United States; every symbol without one of the other prefixes.
    #[default]
    Stocks,
    /// Crypto pairs, `X:BASE-QUOTE`.
    Crypto,
    /// Pairs of currencies, `C:BASE-QUOTE`.
    Currencies,
}

impl AssetClass {
    /// All of them.
    pub const ALL: [AssetClass; 3] = [AssetClass::Stocks, AssetClass::Crypto, AssetClass::Currencies];

    /// The class of a symbol.
    pub fn of(symbol: &str) -> AssetClass {
        match symbol.as_bytes() {
            [b'X', b':', ..] => AssetClass::Crypto,
            [b'C', b':', ..] => AssetClass::Currencies,
            _ => AssetClass::Stocks,
        }
    }

    /// The class of that name, if there is one.
    pub fn named(name: &str) -> Option<AssetClass> {
        AssetClass::ALL.into_iter().find(|class| class.name() == name)
    }

    /// The class whose bars a topic holds, if it holds any.
    pub fn of_topic(topic: &Topic) -> Option<AssetClass> {
        AssetClass::ALL.into_iter().find(|class| class.raw_topic() == *topic)
    }

    /// The name: `stocks`, `crypto`, `currencies`.
    pub const fn name(self) -> &'static str {
        match self {
            AssetClass::Stocks => "stocks",
            AssetClass::Crypto => "crypto",
            AssetClass::Currencies => "currencies",
        }
    }

    /// The topic of its minute bars.
    pub const fn raw_topic(self) -> Topic {
        match self {
            AssetClass::Stocks => topic::STOCK_PRICES,
            AssetClass::Crypto => topic::CRYPTO_PRICES,
            AssetClass::Currencies => topic::CURRENCY_PRICES,
        }
    }

    /// The measurement of its minute bars, which is also their table in questions.
    pub fn raw_table(self) -> String {
        self.raw_topic().measurement()
    }

    /// The topic of the results of a job over its bars, where `name` is that over stocks.
    /// The measurement of the results is the same for every class.
    pub fn result_topic(self, name: &str) -> Topic {
        Topic::new(self.of_class(name))
    }

    /// The topic of this class that takes the place of topic `name` of stocks, where `results`
    /// are the topics of all jobs over stocks; none if topic `name` is the same for all classes,
    /// as that of the news is.
    pub fn topic_in_place_of(self, name: &str, results: &[impl AsRef<str>]) -> Option<String> {
        if name == AssetClass::Stocks.raw_topic().name() {
            return Some(self.raw_topic().name().to_owned());
        }
        results.iter().any(|result| result.as_ref() == name).then(|| self.of_class(name))
    }

    /// A job's name with the class, where it is not that of stocks.
    pub fn of_class(self, name: &str) -> String {
        match self {
            AssetClass::Stocks => name.to_owned(),
            class => format!("{name}-{}", class.name()),
        }
    }

    /// When it trades.
    pub const fn calendar(self) -> Calendar {
        match self {
            AssetClass::Stocks => Calendar::NEW_YORK,
            AssetClass::Crypto => Calendar::CONTINUOUS,
            AssetClass::Currencies => Calendar::CURRENCIES,
        }
    }

    /// Whether the volume of a bar is what was traded. Currencies are traded between
    /// banks, and what feeds call their volume, if anything, is a count of quotes: a
    /// volume of 0 is normal there.
    pub const fn has_volume(self) -> bool {
        !matches!(self, AssetClass::Currencies)
    }
}

impl std::fmt::Display for AssetClass {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(self.name())
    }
}

/// What a symbol stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instrument<'a> {
    symbol: &'a str,
    class: AssetClass,
}

impl<'a> Instrument<'a> {
    /// The instrument of a symbol.
    pub fn of(symbol: &'a str) -> Instrument<'a> {
        Instrument { symbol, class: AssetClass::of(symbol) }
    }

    /// Its symbol.
    pub fn symbol(self) -> &'a str {
        self.symbol
    }

    /// Its class.
    pub fn class(self) -> AssetClass {
        self.class
    }

    /// When it trades.
    pub fn calendar(self) -> Calendar {
        self.class.calendar()
    }

    /// The currency that its prices are in: dollars for stocks, for a pair its quote;
    /// none where the symbol does not tell.
    pub fn price_currency(self) -> Option<&'a str> {
        match self.class {
            AssetClass::Stocks => (!symbol::is_ours(self.symbol)).then_some("USD"),
            AssetClass::Crypto | AssetClass::Currencies => {
                let (base, quote) = self.symbol[2..].rsplit_once('-')?;
                (!base.is_empty() && !quote.is_empty()).then_some(quote)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_of_a_symbol_gives_class_topic_measurement_and_currency() {
        for (symbol, class, raw, currency) in [
            ("AAPL", AssetClass::Stocks, "stock-prices", Some("USD")),
            ("BRK.B", AssetClass::Stocks, "stock-prices", Some("USD")),
            ("I:SPX", AssetClass::Stocks, "stock-prices", Some("USD")),
            ("X", AssetClass::Stocks, "stock-prices", Some("USD")),
            ("", AssetClass::Stocks, "stock-prices", Some("USD")),
            ("~clock0", AssetClass::Stocks, "stock-prices", None),
            ("X:BTC-USD", AssetClass::Crypto, "crypto-prices", Some("USD")),
            ("X:ETH-BTC", AssetClass::Crypto, "crypto-prices", Some("BTC")),
            ("X:", AssetClass::Crypto, "crypto-prices", None),
            ("C:USD-JPY", AssetClass::Currencies, "currency-prices", Some("JPY")),
        ] {
            let instrument = Instrument::of(symbol);
            assert_eq!(instrument.class(), class, "{symbol}");
            assert_eq!(instrument.price_currency(), currency, "{symbol}");
            assert_eq!(class.raw_topic().name(), raw);
            assert_eq!(class.raw_table(), raw.replace('-', "_"));
            assert_eq!(AssetClass::of_topic(&Topic::new(raw)), Some(class));
        }
        assert_eq!(AssetClass::of_topic(&topic::NEWS_ARTICLES), None);
    }

    #[test]
    fn results_of_stocks_keep_their_topics_and_other_classes_have_their_own() {
        let topics = AssetClass::ALL.map(|class| class.result_topic("news-impact").name().to_owned());
        assert_eq!(topics, ["news-impact", "news-impact-crypto", "news-impact-currencies"]);
        for class in AssetClass::ALL {
            assert_eq!(AssetClass::named(class.name()), Some(class));
        }
        assert_eq!(AssetClass::named("Stocks"), None);
        let in_place_of = |name: &str| AssetClass::Crypto.topic_in_place_of(name, &["movers"]);
        assert_eq!(in_place_of("stock-prices").as_deref(), Some("crypto-prices"));
        assert_eq!(in_place_of("movers").as_deref(), Some("movers-crypto"));
        assert_eq!(in_place_of("news-articles"), None);
        assert_eq!(AssetClass::ALL.map(AssetClass::has_volume), [true, true, false]);
    }
}
