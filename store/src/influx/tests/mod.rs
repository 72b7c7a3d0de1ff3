//! The store on InfluxDB: what it sends, against scripted answers and a real server.

mod lines;
