-- The path of the price around each article: the symbol's bars from 30 minutes
-- before the minute of its publication to 60 after.
--
-- A row goes out as soon as both its article and its bar are there, and again
-- with every further version of either: of the rows of one article and minute,
-- the one with the latest `received_timestamp` (the bar's) holds. Clock records
-- have no part in this: both sides would have them, and multiply them.
--
-- Either side is kept for two hours of event time: an article waits one hour for
-- its last bar, and one that is found an hour late still meets its first.

SET updating_ttl = INTERVAL '2 hours';

CREATE TABLE news_reaction (
    symbol TEXT,
    id TEXT,
    published_timestamp TIMESTAMP,
    minute BIGINT,
    path_time TIMESTAMP,
    start_timestamp TIMESTAMP,
    close DOUBLE,
    volume DOUBLE,
    article_received_timestamp TIMESTAMP,
    received_timestamp TIMESTAMP
) WITH (
    connector = 'kafka',
    type = 'sink',
    format = 'json',
    'json.timestamp_format' = 'unix_millis',
    bootstrap_servers = '{{kafka.bootstrap_servers}}',
    topic = 'news-reaction',
    'sink.commit_mode' = 'at_least_once',
    'sink.key_field' = 'symbol'
);

INSERT INTO news_reaction
SELECT
    p.symbol,
    n.id,
    arrow_cast(n.published_timestamp * 1000000, 'Timestamp(Nanosecond, None)'),
    (p.start_timestamp - n.published_minute) / 60000,
    arrow_cast((n.published_timestamp + p.start_timestamp - n.published_minute) * 1000000, 'Timestamp(Nanosecond, None)'),
    arrow_cast(p.start_timestamp * 1000000, 'Timestamp(Nanosecond, None)'),
    p.close,
    p.volume,
    arrow_cast(n.received_timestamp * 1000000, 'Timestamp(Nanosecond, None)'),
    arrow_cast(p.received_timestamp * 1000000, 'Timestamp(Nanosecond, None)')
FROM (
    SELECT
        id,
        symbol,
        published_timestamp,
        published_timestamp - published_timestamp % 60000 AS published_minute,
        received_timestamp
    FROM news_articles
    WHERE source <> 'clock'
) n
JOIN (
    SELECT
        symbol,
        start_timestamp,
        close,
        volume,
        received_timestamp
    FROM stock_prices
    WHERE source <> 'clock'
) p
ON n.symbol = p.symbol
WHERE p.start_timestamp BETWEEN n.published_minute - 1800000 AND n.published_minute + 3600000;
