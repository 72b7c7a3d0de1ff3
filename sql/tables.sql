-- The raw topics, as every job reads them. Event time is the bar's start or
-- the article's first publication; the watermark is the producers' own
-- statement `complete_until`, never arrival. A source that is silent for
-- `idle_micros` of the clock would leave a cluster's least watermark, and windows
-- would close without it; a week is longer than anybody leaves a service down. What
-- a service appended after it had lost its lease was aborted: `read_committed`
-- leaves it out.

CREATE TABLE stock_prices (
    symbol TEXT NOT NULL,
    open DOUBLE NOT NULL,
    high DOUBLE NOT NULL,
    low DOUBLE NOT NULL,
    close DOUBLE NOT NULL,
    vwap DOUBLE,
    volume DOUBLE NOT NULL,
    accumulated_volume DOUBLE,
    official_open_price DOUBLE,
    aggregate_vwap DOUBLE,
    average_size DOUBLE,
    start_timestamp BIGINT NOT NULL,
    end_timestamp BIGINT NOT NULL,
    otc BOOLEAN,
    source TEXT NOT NULL,
    received_timestamp BIGINT NOT NULL,
    complete_until BIGINT NOT NULL,
    event_time TIMESTAMP NOT NULL GENERATED ALWAYS AS (arrow_cast(start_timestamp * 1000000, 'Timestamp(Nanosecond, None)')),
    WATERMARK FOR event_time AS arrow_cast(complete_until * 1000000, 'Timestamp(Nanosecond, None)')
) WITH (
    connector = 'kafka',
    type = 'source',
    format = 'json',
    bad_data = 'drop',
    bootstrap_servers = '{{kafka.bootstrap_servers}}',
    topic = 'stock-prices',
    'source.offset' = 'earliest',
    'source.read_mode' = 'read_committed',
    idle_micros = 604800000000
);

CREATE TABLE news_articles (
    id TEXT NOT NULL,
    symbol TEXT,
    search_term TEXT NOT NULL,
    headline TEXT NOT NULL,
    url TEXT NOT NULL,
    kind TEXT,
    section_id TEXT,
    section_name TEXT,
    pillar TEXT,
    published_timestamp BIGINT NOT NULL,
    updated_timestamp BIGINT,
    source TEXT NOT NULL,
    received_timestamp BIGINT NOT NULL,
    complete_until BIGINT NOT NULL,
    event_time TIMESTAMP NOT NULL GENERATED ALWAYS AS (arrow_cast(published_timestamp * 1000000, 'Timestamp(Nanosecond, None)')),
    WATERMARK FOR event_time AS arrow_cast(complete_until * 1000000, 'Timestamp(Nanosecond, None)')
) WITH (
    connector = 'kafka',
    type = 'source',
    format = 'json',
    bad_data = 'drop',
    bootstrap_servers = '{{kafka.bootstrap_servers}}',
    topic = 'news-articles',
    'source.offset' = 'earliest',
    'source.read_mode' = 'read_committed',
    idle_micros = 604800000000
);
