-- What rules can watch: per symbol and window one column a signal.
--
-- One window for all: two hours, sliding by one minute. It holds the level that
-- the volatility of the last minutes is measured against, and enough bars (120)
-- for the smoothing of the RSI to have forgotten where it began. A signal is
-- NULL as long as its bars are too few.
--
-- `bars`, `articles` and `received_until` say what a row was made of: one made of
-- less never replaces it.

CREATE TABLE signals (
    symbol TEXT,
    window_start TIMESTAMP,
    window_end TIMESTAMP,
    volatility_zscore DOUBLE,
    jump_share DOUBLE,
    articles DOUBLE,
    close DOUBLE,
    percent_move DOUBLE,
    average_cross DOUBLE,
    rsi DOUBLE,
    bollinger DOUBLE,
    bars BIGINT,
    received_until TIMESTAMP
) WITH (
    connector = 'kafka',
    type = 'sink',
    format = 'json',
    'json.timestamp_format' = 'unix_millis',
    bootstrap_servers = '{{kafka.bootstrap_servers}}',
    topic = 'signals',
    'sink.commit_mode' = 'at_least_once',
    'sink.key_field' = 'symbol'
);

INSERT INTO signals
SELECT
    symbol,
    window.start,
    window.end,
    volatility_zscore,
    jump_share,
    articles,
    close,
    percent_move,
    average_cross,
    rsi,
    bollinger,
    bars,
    arrow_cast(received_until * 1000000, 'Timestamp(Nanosecond, None)')
FROM (
    SELECT
        p.symbol AS symbol,
        p.window AS window,
        p.volatility_zscore AS volatility_zscore,
        p.jump_share AS jump_share,
        CAST(coalesce(n.articles, 0) AS DOUBLE) AS articles,
        p.close AS close,
        p.percent_move AS percent_move,
        p.average_cross AS average_cross,
        p.rsi AS rsi,
        p.bollinger AS bollinger,
        p.bars AS bars,
        CASE
            WHEN n.received_until > p.received_until THEN n.received_until
            ELSE p.received_until
        END AS received_until
    FROM (
        SELECT
            symbol,
            hop(INTERVAL '1 minute', INTERVAL '2 hours') AS window,
            volatility_zscore(start_timestamp, received_timestamp, close) AS volatility_zscore,
            jump_share(start_timestamp, received_timestamp, close) AS jump_share,
            last_close(start_timestamp, received_timestamp, close) AS close,
            percent_move(start_timestamp, received_timestamp, open, close) AS percent_move,
            average_cross(start_timestamp, received_timestamp, close) AS average_cross,
            rsi(start_timestamp, received_timestamp, close) AS rsi,
            bollinger(start_timestamp, received_timestamp, close) AS bollinger,
            count(DISTINCT start_timestamp) AS bars,
            max(received_timestamp) AS received_until
        FROM stock_prices
        GROUP BY symbol, window
    ) p
    LEFT JOIN (
        SELECT
            symbol,
            hop(INTERVAL '1 minute', INTERVAL '2 hours') AS window,
            count(DISTINCT id) AS articles,
            max(received_timestamp) AS received_until
        FROM news_articles
        GROUP BY symbol, window
    ) n
    ON p.symbol = n.symbol AND p.window = n.window
);
