//! Which keys the settings hold, for the page to say.

use ::web::Key;

use super::Config;

impl Config {
    /// Every key that a pipeline may need, and whether it is there.
    pub fn keys(&self) -> Vec<Key> {
        let key = |name, variable, present| Key { name, variable, present };
        let prices = self.feeds.iter().filter_map(|(feed, settings)| {
            let own = feed.description().key.as_ref()?;
            Some(key(own.name, own.variable, !settings.api_key.is_empty()))
        });
        let others = [
            key("The Guardian, for headlines", "GUARDIAN_API_KEY", self.guardian.api_key.is_some()),
            key("InfluxDB, where points are kept there", "INFLUXDB_TOKEN", self.influxdb.token.is_some()),
            key(
                "The secret that signs the webhook of alerts",
                "ALERTS_WEBHOOK_SECRET",
                self.webhook.is_some(),
            ),
        ];
        prices.chain(others).collect()
    }
}
