//! Generates statements from a seed: subselects, joins, groups, set operations and windows over
//! the tables of the corpus. Names repeat on purpose, and every other subselect has none.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

pub struct Generator {
    draws: ChaCha8Rng,
    names: usize,
}

/// Something to select from, with its integer columns and its text columns.
struct Source {
    sql: String,
    numbers: Vec<String>,
    texts: Vec<String>,
}

impl Generator {
    pub fn new(seed: u64) -> Generator {
        Generator { draws: ChaCha8Rng::seed_from_u64(seed), names: 0 }
    }

    fn below(&mut self, count: usize) -> usize {
        self.draws.next_u32() as usize % count
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn one<'a>(&mut self, of: &'a [String]) -> &'a str {
        let at = self.below(of.len());
        &of[at]
    }

    /// A statement; if its rows are limited, they have a total order.
    pub fn statement(&mut self) -> String {
        let Source { sql, numbers, texts } = self.source(4);
        let columns: Vec<_> = numbers.iter().chain(&texts).cloned().collect();
        let list = columns.join(", ");
        match self.below(4) {
            0 => {
                let order: Vec<_> = columns.iter().map(|column| format!("{column} NULLS FIRST")).collect();
                let (limit, offset) = (1 + self.below(9), self.below(4));
                format!(
                    "SELECT {list} FROM {sql}\nORDER BY {} LIMIT {limit} OFFSET {offset}",
                    order.join(", ")
                )
            }
            1 => format!("SELECT DISTINCT {list} FROM {sql}"),
            2 => {
                let number = self.one(&numbers).to_owned();
                format!(
                    "SELECT count(*) AS c1, count({number}) AS c2, sum({number}) AS c3, min({number}) AS c4, max({number}) AS c5, count(DISTINCT {number}) AS c6 FROM {sql}"
                )
            }
            _ => format!("SELECT {list} FROM {sql}"),
        }
    }

    fn source(&mut self, depth: usize) -> Source {
        if depth == 0 || self.chance(10) {
            let (sql, numbers) = if self.chance(60) { ("t", ["i", "j"]) } else { ("u", ["i", "n"]) };
            let texts = vec!["k".to_owned(), "s".to_owned()];
            return Source { sql: sql.to_owned(), numbers: numbers.map(str::to_owned).into(), texts };
        }
        let (select, numbers, texts) = match self.below(10) {
            0..=4 => self.projected(depth),
            5 => self.grouped(depth),
            6 | 7 => self.joined(depth),
            8 => self.combined(depth),
            _ => self.windowed(depth),
        };
        let sql = match self.chance(50) {
            true => format!("({select})"),
            false => {
                self.names += 1;
                format!("({select}) AS q{}", self.names)
            }
        };
        Source { sql, numbers, texts }
    }

    /// Projects the same names with other values.
    fn projected(&mut self, depth: usize) -> (String, Vec<String>, Vec<String>) {
        let from = self.source(depth - 1);
        // The same expression at all levels shows whether the planner confuses two levels.
        let plain = self.chance(40);
        let numbers: Vec<_> = from
            .numbers
            .iter()
            .map(|name| match plain {
                true => format!("{name} + 1 AS {name}"),
                false => format!("{} AS {name}", self.number(&from, 2)),
            })
            .collect();
        let texts: Vec<_> = from.texts.iter().map(|name| format!("{} AS {name}", self.text(&from))).collect();
        let condition =
            if self.chance(50) { format!(" WHERE {}", self.filter(&from)) } else { String::new() };
        let list = numbers.into_iter().chain(texts).collect::<Vec<_>>().join(", ");
        (format!("SELECT {list} FROM {}{condition}", from.sql), from.numbers, from.texts)
    }

    fn grouped(&mut self, depth: usize) -> (String, Vec<String>, Vec<String>) {
        let from = self.source(depth - 1);
        let key = self.one(&from.texts).to_owned();
        let first = self.aggregate(&from);
        let second = self.aggregate(&from);
        let having = if self.chance(30) { " HAVING count(*) > 2" } else { "" };
        let sql = format!(
            "SELECT {key}, {first} AS i, {second} AS n, max({key}) AS s FROM {} GROUP BY {key}{having}",
            from.sql
        );
        // Otherwise a key named `s` would appear twice.
        let sql = if key == "s" { sql.replacen("SELECT s,", "SELECT s AS k,", 1) } else { sql };
        (sql, vec!["i".into(), "n".into()], vec![if key == "s" { "k".into() } else { key }, "s".into()])
    }

    fn aggregate(&mut self, from: &Source) -> String {
        let number = self.number(from, 1);
        let condition = self.condition(from, 1);
        match self.below(7) {
            0 => "count(*)".into(),
            1 => format!("count(DISTINCT {number})"),
            2 => format!("sum({number})"),
            3 => format!("sum(DISTINCT {number})"),
            4 => format!("min({number})"),
            5 => format!("max({number})"),
            _ => format!("sum({number}) FILTER (WHERE {condition})"),
        }
    }

    fn joined(&mut self, depth: usize) -> (String, Vec<String>, Vec<String>) {
        let (one, other) = (self.source((depth - 1).min(1)), self.source((depth - 1).min(1)));
        self.names += 2;
        let (a, b) = (format!("a{}", self.names), format!("b{}", self.names));
        let kind = ["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"][self.below(4)];
        let (left, right) = (self.one(&one.texts).to_owned(), self.one(&other.texts).to_owned());
        let (x, y) = (self.one(&one.numbers).to_owned(), self.one(&other.numbers).to_owned());
        let (one, other) = (bare(&one.sql), bare(&other.sql));
        let sql = format!(
            "SELECT {a}.{x} AS i, {b}.{y} AS n, {a}.{left} AS k, {b}.{right} AS s FROM (SELECT * FROM {one}) AS {a} {kind} (SELECT * FROM {other}) AS {b} ON {a}.{left} = {b}.{right} AND {a}.{x} = {b}.{y}"
        );
        (sql, vec!["i".into(), "n".into()], vec!["k".into(), "s".into()])
    }

    fn combined(&mut self, depth: usize) -> (String, Vec<String>, Vec<String>) {
        let (one, other) = (self.source(depth - 1), self.source(depth - 1));
        let half = |generator: &mut Generator, from: &Source| {
            let (number, text) = (generator.number(from, 1), generator.text(from));
            let (n, s) = (generator.one(&from.numbers).to_owned(), generator.one(&from.texts).to_owned());
            format!("SELECT {number} AS i, {n} AS n, {text} AS k, {s} AS s FROM {}", from.sql)
        };
        let (first, second) = (half(self, &one), half(self, &other));
        let operation = ["UNION", "UNION ALL", "INTERSECT", "EXCEPT"][self.below(4)];
        (format!("{first} {operation} {second}"), vec!["i".into(), "n".into()], vec!["k".into(), "s".into()])
    }

    /// Only window functions whose results do not depend on the order of equal rows.
    fn windowed(&mut self, depth: usize) -> (String, Vec<String>, Vec<String>) {
        let from = self.source(depth - 1);
        let (number, key) = (self.number(&from, 1), self.one(&from.texts).to_owned());
        let order = self.one(&from.numbers).to_owned();
        let function = match self.below(5) {
            0 => "rank()".to_owned(),
            1 => "dense_rank()".to_owned(),
            2 => "count(*)".to_owned(),
            3 => format!("sum({number})"),
            _ => format!("max({number})"),
        };
        let direction = if self.chance(50) { "ASC NULLS FIRST" } else { "DESC NULLS LAST" };
        let other = self.one(&from.texts).to_owned();
        let sql = format!(
            "SELECT {function} OVER (PARTITION BY {key} ORDER BY {order} {direction}) AS i, {order} AS n, {key} AS k, {other} AS s FROM {}",
            from.sql
        );
        (sql, vec!["i".into(), "n".into()], vec!["k".into(), "s".into()])
    }

    fn number(&mut self, from: &Source, depth: usize) -> String {
        if depth == 0 || self.chance(20) {
            return match self.chance(75) {
                true => self.one(&from.numbers).to_owned(),
                false => (self.below(9) as i64 - 3).to_string(),
            };
        }
        let (a, b) = (self.number(from, depth - 1), self.number(from, depth - 1));
        match self.below(10) {
            0 => format!("({a} + {b})"),
            1 => format!("({a} - {b})"),
            // Kept small, so that no depth of nesting overflows.
            2 => format!("(({a}) * ({b}) % 97)"),
            3 => format!("abs({a})"),
            4 => format!("coalesce({a}, {b})"),
            5 => format!("nullif({a}, {b})"),
            6 => format!("(0 - ({a}))"),
            7 => format!("({a}) / 3"),
            8 => {
                let condition = self.condition(from, 1);
                format!("CASE WHEN {condition} THEN {a} ELSE {b} END")
            }
            _ => format!("(SELECT max(n) FROM u WHERE n < {})", self.below(7)),
        }
    }

    fn text(&mut self, from: &Source) -> String {
        let name = self.one(&from.texts).to_owned();
        match self.below(7) {
            0 => format!("upper({name})"),
            1 => format!("{name} || '-'"),
            2 => format!("substr({name}, 1, 2)"),
            3 => format!("coalesce({name}, 'none')"),
            4 => format!("replace({name}, 'a', 'b')"),
            _ => name,
        }
    }

    /// DataFusion supports a subquery in the condition of WHERE only, and not below OR.
    fn filter(&mut self, from: &Source) -> String {
        let (condition, text) = (self.condition(from, 2), self.one(&from.texts).to_owned());
        let number = self.one(&from.numbers).to_owned();
        match self.below(5) {
            0 => format!("{text} IN (SELECT k FROM u) AND {condition}"),
            1 => format!("{number} NOT IN (SELECT n FROM u WHERE n > 3) AND {condition}"),
            2 => format!("EXISTS (SELECT 1 FROM u WHERE u.k = {text}) AND {condition}"),
            _ => condition,
        }
    }

    fn condition(&mut self, from: &Source, depth: usize) -> String {
        if depth > 0 && self.chance(40) {
            let (a, b) = (self.condition(from, depth - 1), self.condition(from, depth - 1));
            return match self.below(3) {
                0 => format!("({a} AND {b})"),
                1 => format!("({a} OR {b})"),
                _ => format!("NOT ({a})"),
            };
        }
        let (a, b) = (self.number(from, 1), self.number(from, 1));
        let text = self.one(&from.texts).to_owned();
        match self.below(8) {
            0 => format!("{a} < {b}"),
            1 => format!("{a} = {b}"),
            2 => format!("{a} <> {b}"),
            3 => format!("{a} IS NULL"),
            4 => format!("{a} IN (1, 2, {b})"),
            5 => format!("{a} BETWEEN -2 AND {b}"),
            6 => format!("{text} LIKE '%a%'"),
            _ => format!("{text} IS NOT NULL"),
        }
    }
}

/// A source without its alias.
fn bare(sql: &str) -> String {
    match sql.rsplit_once(") AS q") {
        Some((before, after)) if after.bytes().all(|byte| byte.is_ascii_digit()) => format!("{before})"),
        _ => sql.to_owned(),
    }
}
