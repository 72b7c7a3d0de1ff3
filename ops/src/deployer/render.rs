//! The text of a pipeline: settings, the tables that the job reads, the job
//! itself, with the cluster's addresses filled in, each line knowing its file.

use model::AssetClass;
use sqlparser::dialect::GenericDialect;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::deployer::error::DeployError;
use crate::deployer::sources::File;

/// Where the address of Kafka is filled in, and behind it how it is entered.
const SERVERS: &str = "'{{kafka.bootstrap_servers}}'";

/// What is filled into the SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the workers reach Kafka.
    pub bootstrap_servers: String,
    /// How they sign in there; `None` where anybody may enter.
    pub kafka_login: Option<KafkaLogin>,
    /// What stands after the name of every topic: nothing, or `-simulated`.
    pub topic_suffix: String,
    /// The classes whose bars there are: each job over bars is rendered for each of them.
    pub classes: Vec<AssetClass>,
    /// Tasks of every operator.
    pub parallelism: u32,
    /// Partitions of the source topics.
    pub partitions: u32,
}

/// How Arroyo signs in to Kafka by SASL. Name and password are not among the settings:
/// the text holds the names of two variables, and Arroyo fills them in from its own
/// environment (`VarStr` of its Kafka connector), so that its database holds neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaLogin {
    /// As `SASL_SSL`.
    pub protocol: String,
    /// As `SCRAM-SHA-512`.
    pub mechanism: String,
}

impl KafkaLogin {
    /// The options of a table.
    fn options(&self) -> String {
        format!(
            "'auth.type' = 'sasl', 'auth.protocol' = '{}', 'auth.mechanism' = '{}', \
             'auth.username' = '{{{{ KAFKA_USERNAME }}}}', 'auth.password' = '{{{{ KAFKA_PASSWORD }}}}'",
            self.protocol.replace('\'', "''"),
            self.mechanism.replace('\'', "''")
        )
    }
}

/// The topics of a rendering: those that are one a class are named for it.
pub(crate) struct Topics<'a> {
    /// The class.
    pub(crate) class: AssetClass,
    /// The topics that jobs write over the bars of stocks.
    pub(crate) results: &'a [String],
}

impl Topics<'_> {
    fn named(&self, name: &str) -> String {
        self.class.topic_in_place_of(name, self.results).unwrap_or_else(|| name.to_owned())
    }

    /// Whether a job reads bars or results over bars.
    pub(crate) fn concern(&self, tables: &File, job: &File) -> Result<bool, DeployError> {
        let words = words_of(job)?;
        let tables = statements(tables)?;
        let mut read =
            tables.iter().filter(|table| table.created().is_some_and(|name| words.contains(&name)));
        let in_place_of = |topic: String| self.class.topic_in_place_of(&topic, self.results);
        Ok(read.any(|table| table.topic().and_then(in_place_of).is_some()))
    }
}

/// The topics that the tables of a file name.
pub(crate) fn topics_of(file: &File) -> Result<Vec<String>, DeployError> {
    Ok(statements(file)?.iter().filter_map(Statement::topic).collect())
}

/// A pipeline's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// What the cluster gets.
    pub text: String,
    origins: Vec<Option<Origin>>,
}

/// Where a line came from.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    file: String,
    line: u64,
    text: String,
}

/// A statement of a file, with its tokens.
struct Statement<'a> {
    file: &'a str,
    tokens: Vec<TokenWithSpan>,
    /// Its lines, from the first after the statement before it.
    lines: Vec<(u64, &'a str)>,
}

impl Rendered {
    /// Renders a job over the bars of a class under a first line that says what it is.
    pub(crate) fn of(
        headline: &str,
        tables: &File,
        job: &File,
        topics: &Topics,
        settings: &Settings,
    ) -> Result<Rendered, DeployError> {
        let (tables, job) = (statements(tables)?, statements(job)?);
        let words: Vec<_> = job.iter().flat_map(Statement::words).collect();
        let needed = tables.iter().filter(|table| table.created().is_some_and(|name| words.contains(&name)));
        let (set, rest): (Vec<_>, Vec<_>) = job.iter().partition(|statement| statement.is("set"));
        let mut rendered = Rendered::default();
        rendered.push(&format!("-- {headline}"), None);
        for statement in set.into_iter().chain(needed).chain(rest) {
            for (line, text) in statement.filled(topics, settings)? {
                let origin = Origin { file: statement.path(), line, text: text.clone() };
                rendered.push(&text, Some(origin));
            }
        }
        Ok(rendered)
    }

    fn push(&mut self, line: &str, origin: Option<Origin>) {
        self.text.push_str(line);
        self.text.push('\n');
        self.origins.push(origin);
    }

    /// The file, line and text that stand at a line of the rendered text, counted from 1.
    pub fn origin(&self, line: u64) -> Option<(&str, u64, &str)> {
        let at = usize::try_from(line).ok()?.checked_sub(1)?;
        let origin = self.origins.get(at)?.as_ref()?;
        Some((&origin.file, origin.line, &origin.text))
    }
}

/// The words of a text that a name may stand among.
pub(crate) fn words_of(file: &File) -> Result<Vec<String>, DeployError> {
    Ok(statements(file)?.iter().flat_map(Statement::words).collect())
}

fn statements(file: &File) -> Result<Vec<Statement<'_>>, DeployError> {
    let tokens =
        Tokenizer::new(&GenericDialect {}, &file.text).tokenize_with_location().map_err(|error| {
            DeployError::Sql { file: path(&file.name), line: error.location.line, reason: error.message }
        })?;
    let lines: Vec<_> = (1_u64..).zip(file.text.lines()).collect();
    let mut found = Vec::new();
    let (mut statement, mut from) = (Vec::new(), 1);
    for token in tokens {
        let (line, ends) = (token.span.start.line, token.token == Token::SemiColon);
        if !matches!(token.token, Token::Whitespace(_) | Token::SemiColon) {
            if line < from {
                let reason = "two statements share this line: give each lines of its own".to_owned();
                return Err(DeployError::Sql { file: path(&file.name), line, reason });
            }
            statement.push(token);
        }
        if ends {
            let lines = lines.iter().filter(|(number, _)| (from..=line).contains(number)).copied().collect();
            found.push(Statement { file: &file.name, tokens: std::mem::take(&mut statement), lines });
            from = line + 1;
        }
    }
    match statement.first() {
        Some(token) => Err(DeployError::Sql {
            file: path(&file.name),
            line: token.span.start.line,
            reason: "this statement does not end: put a semicolon after it".to_owned(),
        }),
        None => Ok(found),
    }
}

impl Statement<'_> {
    fn path(&self) -> String {
        path(self.file)
    }

    fn words(&self) -> impl Iterator<Item = String> {
        self.tokens.iter().filter_map(|token| match &token.token {
            Token::Word(word) => Some(word.value.to_lowercase()),
            _ => None,
        })
    }

    fn is(&self, first: &str) -> bool {
        self.words().next().is_some_and(|word| word == first)
    }

    /// The table that it creates.
    fn created(&self) -> Option<String> {
        let words: Vec<_> = self.words().take(3).collect();
        match words.as_slice() {
            [create, table, name] if create == "create" && table == "table" => Some(name.clone()),
            _ => None,
        }
    }

    /// Its lines, with the settings filled in.
    fn filled(&self, topics: &Topics, settings: &Settings) -> Result<Vec<(u64, String)>, DeployError> {
        let mut connection = format!("'{}'", settings.bootstrap_servers.replace('\'', "''"));
        if let Some(login) = &settings.kafka_login {
            connection = format!("{connection}, {}", login.options());
        }
        self.lines
            .iter()
            .map(|&(number, line)| {
                let mut line = line.to_owned();
                if let Some((name, quoted)) = self.topic_on(number) {
                    let name = topics.named(&name);
                    line = line.replacen(&quoted, &format!("'{name}{}'", settings.topic_suffix), 1);
                }
                let without = line.replace(SERVERS, "");
                match without.split_once("{{") {
                    Some((_, rest)) => {
                        let name = rest.split("}}").next().unwrap_or(rest).trim();
                        Err(DeployError::Sql {
                            file: self.path(),
                            line: number,
                            reason: format!(
                                "{{{{{name}}}}} is no placeholder; there is {{{{kafka.bootstrap_servers}}}}"
                            ),
                        })
                    }
                    None => Ok((number, line.replace(SERVERS, &connection))),
                }
            })
            .collect()
    }

    /// The topic of the table that it creates.
    fn topic(&self) -> Option<String> {
        let (name, _) = self.lines.iter().find_map(|(line, _)| self.topic_on(*line))?;
        Some(name)
    }

    /// The name in `topic = 'name'` on a line, bare and as it stands there.
    fn topic_on(&self, line: u64) -> Option<(String, String)> {
        self.created()?;
        self.tokens.windows(3).find_map(|tokens| {
            match tokens.iter().map(|token| &token.token).collect::<Vec<_>>()[..] {
                [Token::Word(word), Token::Eq, Token::SingleQuotedString(name)]
                    if word.value.eq_ignore_ascii_case("topic") && tokens[2].span.start.line == line =>
                {
                    Some((name.clone(), format!("'{name}'")))
                }
                _ => None,
            }
        })
    }
}

fn path(name: &str) -> String {
    format!("sql/{name}.sql")
}
