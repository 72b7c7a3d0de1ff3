-- What the news of each symbol went along with: in every window of 30 minutes,
-- sliding by one, the number of distinct articles beside how the price moved.
--
-- Windows without news are kept: they are what windows with news are compared
-- with. Clock records pass through on both sides, so that windows close in the
-- silence of either; readers drop them. An article without a symbol meets none.
--
-- `bars`, `articles` and `received_until` say what a row was made of: one made of
-- less never replaces it.

CREATE TABLE news_impact (
    symbol TEXT,
    window_start TIMESTAMP,
    window_end TIMESTAMP,
    articles BIGINT,
    realized DOUBLE,
    jump_share DOUBLE,
    log_return DOUBLE,
    volume DOUBLE,
    bars BIGINT,
    received_until TIMESTAMP
) WITH (
    connector = 'kafka',
    type = 'sink',
    format = 'json',
    'json.timestamp_format' = 'unix_millis',
    bootstrap_servers = '{{kafka.bootstrap_servers}}',
    topic = 'news-impact',
    'sink.commit_mode' = 'at_least_once',
    'sink.key_field' = 'symbol'
);

INSERT INTO news_impact
SELECT
    symbol,
    window.start,
    window.end,
    articles,
    realized,
    jump_share,
    log_return,
    volume,
    bars,
    arrow_cast(received_until * 1000000, 'Timestamp(Nanosecond, None)')
FROM (
    SELECT
        p.symbol AS symbol,
        p.window AS window,
        coalesce(n.articles, 0) AS articles,
        p.realized AS realized,
        p.jump_share AS jump_share,
        p.log_return AS log_return,
        p.volume AS volume,
        p.bars AS bars,
        CASE
            WHEN n.received_until > p.received_until THEN n.received_until
            ELSE p.received_until
        END AS received_until
    FROM (
        SELECT
            symbol,
            hop(INTERVAL '1 minute', INTERVAL '30 minutes') AS window,
            realized(start_timestamp, received_timestamp, close) AS realized,
            jump_share(start_timestamp, received_timestamp, close) AS jump_share,
            log_return(start_timestamp, received_timestamp, open, close) AS log_return,
            volume(start_timestamp, received_timestamp, volume) AS volume,
            count(DISTINCT start_timestamp) AS bars,
            max(received_timestamp) AS received_until
        FROM stock_prices
        GROUP BY symbol, window
    ) p
    LEFT JOIN (
        SELECT
            symbol,
            hop(INTERVAL '1 minute', INTERVAL '30 minutes') AS window,
            count(DISTINCT id) AS articles,
            max(received_timestamp) AS received_until
        FROM news_articles
        GROUP BY symbol, window
    ) n
    ON p.symbol = n.symbol AND p.window = n.window
);
