//! Stories as articles: headlines of our own making, plainly marked as simulated.

use chrono::NaiveDate;
use model::{Article, Source};

use crate::company::{COMPANIES, Company, MARKET};
use crate::draws::Draws;
use crate::outline::Outline;

/// About a company: `{}` is its name, `{topic}` one of its topics.
const OF_A_COMPANY: [&str; 19] = [
    "{} publishes its figures for the quarter",
    "{} updates its outlook for the year",
    "{} presents its plans for {topic}",
    "What is known so far about the plans of {} for {topic}",
    "{} names a new head of {topic}",
    "{} and suppliers agree on terms for {topic}",
    "{} rearranges its work on {topic}",
    "{} answers questions about {topic}",
    "Analysts look again at {} and its business in {topic}",
    "{} opens a new site for {topic}",
    "{} changes its prices for {topic}",
    "A day with the people behind {topic} at {}",
    "{} invites shareholders to a meeting on {topic}",
    "{} sets a date for its next figures",
    "How {} thinks about {topic}",
    "{} files its yearly report",
    "{} begins a trial in {topic}",
    "Customers of {} on what they expect of {topic}",
    "{} speaks about {topic} at a conference",
];

/// About the market as a whole.
const OF_THE_MARKET: [&str; 8] = [
    "New figures on {topic} are out",
    "{} weighs the latest on {topic}",
    "What this week's figures on {topic} mean for savers",
    "Economists update their view on {topic}",
    "{} looks ahead to figures on {topic}",
    "Officials speak about {topic}",
    "Survey asks households about {topic}",
    "Five charts on {topic}",
];

/// The articles of a session, by publication.
pub(crate) fn articles(seed: u64, date: NaiveDate, outline: &Outline) -> Vec<Article> {
    let mut draws = Draws::new(seed, "headlines", date);
    let mut articles = Vec::new();
    for (index, (company, plan)) in COMPANIES.iter().zip(&outline.plans).enumerate() {
        let patterns: &[&str] = if index == MARKET { &OF_THE_MARKET } else { &OF_A_COMPANY };
        // Onwards from a random one in steps that meet each before any comes again.
        let first = draws.below(patterns.len());
        for (count, story) in plan.stories.iter().enumerate() {
            let pattern = patterns[(first + 5 * count) % patterns.len()];
            let headline = headline(pattern, company, company.topics[draws.below(company.topics.len())]);
            let path = format!("{seed}/{date}/{}-{}", company.symbol.to_lowercase(), count + 1);
            articles.push(Article {
                id: format!("simulated/{path}"),
                symbol: Some(company.symbol.to_owned()),
                search_term: company.name.to_owned(),
                headline,
                url: format!("https://simulated.invalid/{path}"),
                kind: Some("article".to_owned()),
                section_id: Some(company.section.id().to_owned()),
                section_name: Some(company.section.name().to_owned()),
                pillar: Some("News".to_owned()),
                published_timestamp: story.published,
                updated_timestamp: None,
                source: Source::Simulation,
                received_timestamp: story.published,
                complete_until: 0,
                position: None,
            });
        }
    }
    // Stable: at the same second, in the order of the symbols.
    articles.sort_by_key(|article| article.published_timestamp);
    articles
}

fn headline(pattern: &str, company: &Company, topic: &str) -> String {
    format!("Simulated: {}", pattern.replace("{topic}", topic).replace("{}", company.name))
}
