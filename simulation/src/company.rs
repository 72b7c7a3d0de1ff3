//! The companies of the simulated market: well-known names with invented prices and news.

use Section::{Business, Technology};

/// One symbol of the market.
pub(crate) struct Company {
    pub symbol: &'static str,
    /// As headlines and searches name it.
    pub name: &'static str,
    pub section: Section,
    /// What headlines are about besides the company.
    pub topics: [&'static str; 4],
    /// The price around which it moves over the years, in dollars.
    pub price: f64,
    /// Deviation of the log return of a day without news, the market's part left out.
    pub volatility: f64,
    /// How many times over it follows the market.
    pub beta: f64,
    /// Shares that change hands on an ordinary day.
    pub volume: f64,
    /// Stories on an ordinary day.
    pub stories: f64,
}

/// The section of the paper that writes about a company.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Business,
    Technology,
}

impl Section {
    pub fn id(self) -> &'static str {
        match self {
            Business => "business",
            Technology => "technology",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Business => "Business",
            Technology => "Technology",
        }
    }
}

/// How many symbols the market has.
pub(crate) const COUNT: usize = 12;

/// Where in [`COMPANIES`] the market as a whole stands: the fund that all others follow by their beta.
pub(crate) const MARKET: usize = 9;

/// In the order of their symbols.
#[rustfmt::skip]
pub(crate) const COMPANIES: [Company; COUNT] = [
    Company {
        symbol: "AAPL", name: "Apple", section: Technology, topics: ["phones", "tablets", "watches", "services"],
        price: 190.0, volatility: 0.009, beta: 1.1, volume: 55e6, stories: 4.0,
    },
    Company {
        symbol: "AMZN", name: "Amazon", section: Technology, topics: ["deliveries", "cloud services", "warehouses", "groceries"],
        price: 180.0, volatility: 0.011, beta: 1.2, volume: 42e6, stories: 3.5,
    },
    Company {
        symbol: "BAC", name: "Bank of America", section: Business, topics: ["mortgages", "deposits", "branches", "cards"],
        price: 40.0, volatility: 0.009, beta: 1.1, volume: 38e6, stories: 2.0,
    },
    Company {
        symbol: "GOOGL", name: "Alphabet", section: Technology, topics: ["search", "advertising", "maps", "video"],
        price: 165.0, volatility: 0.010, beta: 1.1, volume: 27e6, stories: 3.5,
    },
    Company {
        symbol: "IBM", name: "IBM", section: Technology, topics: ["mainframes", "consulting", "quantum computing", "software"],
        price: 185.0, volatility: 0.008, beta: 0.7, volume: 4e6, stories: 1.5,
    },
    Company {
        symbol: "JPM", name: "JPMorgan", section: Business, topics: ["investment banking", "lending", "payments", "trading"],
        price: 200.0, volatility: 0.008, beta: 1.0, volume: 9e6, stories: 2.0,
    },
    Company {
        symbol: "META", name: "Meta", section: Technology, topics: ["messaging", "headsets", "advertising", "data centres"],
        price: 480.0, volatility: 0.013, beta: 1.2, volume: 15e6, stories: 3.5,
    },
    Company {
        symbol: "MSFT", name: "Microsoft", section: Technology, topics: ["cloud services", "office software", "games", "laptops"],
        price: 410.0, volatility: 0.008, beta: 1.0, volume: 21e6, stories: 3.0,
    },
    Company {
        symbol: "NVDA", name: "Nvidia", section: Technology, topics: ["graphics cards", "data centres", "chip supply", "driving software"],
        price: 120.0, volatility: 0.018, beta: 1.6, volume: 250e6, stories: 4.0,
    },
    Company {
        symbol: "SPY", name: "Wall Street", section: Business, topics: ["inflation", "employment", "interest rates", "retail sales"],
        price: 520.0, volatility: 0.007, beta: 1.0, volume: 60e6, stories: 3.0,
    },
    Company {
        symbol: "TSLA", name: "Tesla", section: Business, topics: ["batteries", "car deliveries", "charging stations", "robots"],
        price: 230.0, volatility: 0.022, beta: 1.5, volume: 90e6, stories: 5.0,
    },
    Company {
        symbol: "XOM", name: "ExxonMobil", section: Business, topics: ["refining", "drilling", "natural gas", "pipelines"],
        price: 110.0, volatility: 0.010, beta: 0.6, volume: 16e6, stories: 1.5,
    },
];

/// The symbols of the market, in alphabetical order.
pub const SYMBOLS: [&str; COUNT] = {
    let mut symbols = [""; COUNT];
    let mut index = 0;
    while index < COUNT {
        symbols[index] = COMPANIES[index].symbol;
        index += 1;
    }
    symbols
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_sorted_and_the_market_is_among_them() {
        assert!(SYMBOLS.is_sorted());
        assert_eq!(SYMBOLS[MARKET], "SPY");
    }
}
