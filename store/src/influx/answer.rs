//! Parses the answer of a query as it arrives: annotated CSV with one value of one field per
//! line (<https://docs.influxdata.com/influxdb/v2/reference/syntax/annotated-csv/>). Only one
//! line is in memory, however long the answer is.

use chrono::DateTime;
use csv_core::{ReadRecordResult, Reader};
use model::schema::Value;

use super::lines;

/// The largest length of a line in bytes: the text of a field has at most 64 KiB, a tag less.
const LONGEST_LINE: usize = 1 << 20;

/// The largest number of columns.
const MOST_COLUMNS: usize = 1_024;

/// The parser of an answer.
pub(super) struct Answer {
    csv: Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
    /// How much of the current line has arrived: bytes of text, and cells.
    written: (usize, usize),
    table: Table,
}

/// The annotations and names of the columns of a table.
#[derive(Default)]
struct Table {
    names: Vec<String>,
    types: Vec<String>,
    defaults: Vec<String>,
    /// Whether the annotations have been read but the names have not.
    annotated: bool,
    /// Whether the table is an error message instead of data.
    is_error: bool,
}

/// One value of one field of one point, with its tags.
pub(super) struct Record<'a> {
    table: &'a Table,
    cells: Cells<'a>,
}

/// The cells of one line without the first one.
#[derive(Clone, Copy)]
struct Cells<'a> {
    text: &'a str,
    ends: &'a [usize],
}

impl<'a> Cells<'a> {
    fn get(&self, at: usize) -> Option<&'a str> {
        let start = if at == 0 { 0 } else { *self.ends.get(at - 1)? };
        self.text.get(start..*self.ends.get(at)?)
    }
}

impl Answer {
    pub(super) fn new() -> Answer {
        Answer {
            csv: Reader::new(),
            text: vec![0; 4_096],
            ends: vec![0; 64],
            written: (0, 0),
            table: Table::default(),
        }
    }

    /// Parses the next bytes, and passes on each complete record.
    ///
    /// # Errors
    /// The error message of the server, or why its answer cannot be parsed.
    pub(super) fn feed(
        &mut self,
        mut bytes: &[u8],
        each: &mut impl FnMut(&Record<'_>),
    ) -> Result<(), String> {
        while !bytes.is_empty() {
            let taken = self.step(bytes, each)?;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// Parses the end of the answer.
    ///
    /// # Errors
    /// As [`Answer::feed`].
    pub(super) fn finish(mut self, each: &mut impl FnMut(&Record<'_>)) -> Result<(), String> {
        // An empty input tells the CSV reader that the input has ended.
        while self.written != (0, 0) || self.csv.line() == 0 {
            let before = self.written;
            self.step(&[], each)?;
            if self.written == before {
                break;
            }
        }
        Ok(())
    }

    /// Calls the CSV reader once; returns how many bytes it consumed.
    fn step(&mut self, bytes: &[u8], each: &mut impl FnMut(&Record<'_>)) -> Result<usize, String> {
        let (text, ends) = (&mut self.text[self.written.0..], &mut self.ends[self.written.1..]);
        let (result, taken, more_text, more_ends) = self.csv.read_record(bytes, text, ends);
        self.written.0 += more_text;
        self.written.1 += more_ends;
        match result {
            ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
            ReadRecordResult::OutputFull if self.text.len() < LONGEST_LINE => {
                self.text.resize(self.text.len() * 2, 0);
            }
            ReadRecordResult::OutputEndsFull if self.ends.len() < MOST_COLUMNS => {
                self.ends.resize(self.ends.len() * 2, 0);
            }
            ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                return Err("a line of its answer is longer than any point".to_owned());
            }
            ReadRecordResult::Record => {
                let (text, cells) = self.written;
                self.written = (0, 0);
                let text = std::str::from_utf8(&self.text[..text])
                    .map_err(|_| "its answer is not UTF-8".to_owned())?;
                self.table.line(Cells { text, ends: &self.ends[..cells] }, each)?;
            }
        }
        Ok(taken)
    }
}

impl Table {
    fn line(&mut self, cells: Cells<'_>, each: &mut impl FnMut(&Record<'_>)) -> Result<(), String> {
        let first = cells.get(0).unwrap_or_default();
        let texts = || (1..cells.ends.len()).map(|at| cells.get(at).unwrap_or_default().to_owned()).collect();
        if cells.ends.len() <= 1 {
            return Ok(());
        }
        if first.starts_with('#') && !self.annotated {
            *self = Table { annotated: true, ..Table::default() };
        }
        match first {
            "#datatype" => self.types = texts(),
            "#default" => self.defaults = texts(),
            "" if self.annotated => {
                self.annotated = false;
                self.names = texts();
                self.is_error = self.names.first().is_some_and(|name| name == "error");
            }
            "" if self.is_error => {
                let said = |at: usize| cells.get(at).filter(|said| !said.is_empty());
                let reference = said(2).map(|number| format!(" ({number})")).unwrap_or_default();
                return Err(format!("{}{reference}", said(1).unwrap_or("an error without a reason")));
            }
            "" if self.names.is_empty() => return Err("its answer has no annotations".to_owned()),
            "" => each(&Record { table: self, cells }),
            // Other annotations are not needed.
            _ => {}
        }
        Ok(())
    }
}

impl<'a> Record<'a> {
    /// The value in a column and its type; an empty cell has the default of the column.
    fn cell(&self, column: &str) -> Option<(&'a str, &'a str)> {
        let at = self.table.names.iter().position(|name| name == column)?;
        let kind = self.table.types.get(at).map_or("", String::as_str);
        let text = self.cells.get(at + 1)?;
        let default = || self.table.defaults.get(at).map_or("", String::as_str);
        Some((if text.is_empty() { default() } else { text }, kind))
    }

    /// The text in a column; empty if there is none.
    pub(super) fn text(&self, column: &str) -> &'a str {
        self.cell(column).map_or("", |(text, _)| text)
    }

    /// The time of the point in ns.
    pub(super) fn time(&self) -> Option<i64> {
        DateTime::parse_from_rfc3339(self.text("_time")).ok()?.timestamp_nanos_opt()
    }

    /// The value of the field; null if its type is not supported.
    pub(super) fn value(&self) -> Value {
        let Some((text, kind)) = self.cell("_value") else { return Value::Null };
        let read = match kind {
            "double" => text.parse().ok().map(Value::Float),
            "long" => text.parse().ok().map(Value::Int),
            "boolean" => text.parse().ok().map(Value::Bool),
            // The answer has the line breaks of CSV.
            "string" => Some(Value::Text(lines::text_of_field(text.replace("\r\n", "\n")))),
            _ => None,
        };
        read.unwrap_or(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As a server answers: two fields of one series, then one of another type.
    const ANSWER: &str = "#datatype,string,long,dateTime:RFC3339,string,double,string\r\n\
        #group,false,false,false,true,false,true\r\n\
        #default,_result,,,,,\r\n\
        ,result,table,_time,_field,_value,symbol\r\n\
        ,,0,2013-10-04T08:06:00.000000042Z,open,10.25,\"A, \"\"B\"\"\"\r\n\
        ,,0,2013-10-04T08:07:00Z,open,-5e-324,\"A, \"\"B\"\"\"\r\n\
        \r\n\
        #datatype,string,long,dateTime:RFC3339,string,string,string\r\n\
        #group,false,false,false,true,false,true\r\n\
        #default,_result,,,,,\r\n\
        ,result,table,_time,_field,_value,symbol\r\n\
        ,,1,1969-12-31T23:59:59.999999999Z,headline,\"two\r\nlines \",C\r\n\
        \r\n";

    type Seen = Vec<(String, String, Option<i64>, Value)>;

    fn read(pieces: &[&[u8]]) -> Result<Seen, String> {
        let mut seen = Seen::new();
        let mut each = |record: &Record<'_>| {
            let of = |column| record.text(column).to_owned();
            seen.push((of("symbol"), of("_field"), record.time(), record.value()));
        };
        let mut answer = Answer::new();
        for piece in pieces {
            answer.feed(piece, &mut each)?;
        }
        answer.finish(&mut each)?;
        Ok(seen)
    }

    fn expected() -> Seen {
        let row =
            |symbol: &str, field: &str, time, value| (symbol.to_owned(), field.to_owned(), Some(time), value);
        vec![
            row("A, \"B\"", "open", 1_380_873_960_000_000_042, Value::Float(10.25)),
            row("A, \"B\"", "open", 1_380_874_020_000_000_000, Value::Float(-5e-324)),
            row("C", "headline", -1, Value::Text("two\nlines ".into())),
        ]
    }

    #[test]
    fn records_are_read_wherever_the_answer_is_cut_into_pieces() {
        let bytes = ANSWER.as_bytes();
        assert_eq!(read(&[bytes]).unwrap(), expected());
        for cut in 0..bytes.len() {
            assert_eq!(read(&[&bytes[..cut], &bytes[cut..]]).unwrap(), expected(), "cut at {cut}");
        }
        let one_by_one: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(&one_by_one).unwrap(), expected());
        // The last line may have no line break.
        assert_eq!(read(&[ANSWER.trim_end().as_bytes()]).unwrap(), expected());
        assert_eq!(read(&[b"\r\n"]).unwrap(), []);
        assert_eq!(read(&[]).unwrap(), []);
    }

    #[test]
    fn an_error_within_an_answer_is_one() {
        let error = "\r\n#datatype,string,string\r\n#group,true,true\r\n#default,,\r\n,error,reference\r\n,memory limit exceeded,897\r\n";
        let answer = format!("{ANSWER}{error}");
        assert_eq!(read(&[answer.as_bytes()]).unwrap_err(), "memory limit exceeded (897)");
        assert!(read(&[b",1,2\r\n"]).is_err());
        let endless = format!("{ANSWER}{}", "x".repeat(2 * LONGEST_LINE));
        assert!(read(&[endless.as_bytes()]).unwrap_err().contains("longer"));
    }

    #[test]
    fn a_value_that_does_not_read_is_null_and_harms_no_other() {
        let answer = ANSWER.replace("10.25", "ten");
        let seen = read(&[answer.as_bytes()]).unwrap();
        assert_eq!((seen[0].3.clone(), seen[1..].to_vec()), (Value::Null, expected()[1..].to_vec()));
    }

    proptest! {
        #[test]
        fn no_answer_does_any_harm(bytes in prop::collection::vec(any::<u8>(), 0..400), at in 0..ANSWER.len()) {
            let mut answer = ANSWER.as_bytes().to_vec();
            answer.splice(at..at, bytes.iter().copied());
            let _ = read(&[&answer]);
            let _ = read(&[&bytes]);
        }
    }
}
