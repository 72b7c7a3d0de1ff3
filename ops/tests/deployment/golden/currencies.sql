== tickwire-live-movers-currencies
-- Tickwire's job movers-currencies, 2 tasks, functions e3b0c44298fc1c14; change sql/movers.sql, not this.
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
    bootstrap_servers = 'kafka:9092',
    topic = 'currency-prices',
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
    bootstrap_servers = 'kafka:9092',
    topic = 'news-articles',
    'source.offset' = 'earliest',
    'source.read_mode' = 'read_committed',
    idle_micros = 604800000000
);
-- Who moved most: in every window of 30 minutes, sliding by one, each symbol's
-- rank by volatility, by return (upwards first) and by news. Ties are broken by
-- the symbol; where there is nothing to rank by, a rank comes last, and without
-- news there is none by news.
--
-- Clock records carry both windows on and then go, before they could take a
-- rank: by a filter on what was aggregated, which no planner can move to before
-- the window. Articles without a symbol go the same way. The news is ranked
-- before the join because Arroyo does not rank what was joined.
--
-- `bars`, `articles` and `received_until` say what a row was made of, of its own
-- symbol: one made of less never replaces it.

CREATE TABLE movers (
    symbol TEXT,
    window_start TIMESTAMP,
    window_end TIMESTAMP,
    volatility_rank BIGINT,
    return_rank BIGINT,
    news_rank BIGINT,
    realized DOUBLE,
    log_return DOUBLE,
    articles BIGINT,
    bars BIGINT,
    received_until TIMESTAMP
) WITH (
    connector = 'kafka',
    type = 'sink',
    format = 'json',
    'json.timestamp_format' = 'unix_millis',
    bootstrap_servers = 'kafka:9092',
    topic = 'movers-currencies',
    'sink.commit_mode' = 'at_least_once',
    'sink.key_field' = 'symbol'
);

INSERT INTO movers
SELECT
    symbol,
    window.start,
    window.end,
    volatility_rank,
    return_rank,
    news_rank,
    realized,
    log_return,
    articles,
    bars,
    arrow_cast(received_until * 1000000, 'Timestamp(Nanosecond, None)')
FROM (
    SELECT
        p.symbol AS symbol,
        p.window AS window,
        p.volatility_rank AS volatility_rank,
        p.return_rank AS return_rank,
        n.news_rank AS news_rank,
        p.realized AS realized,
        p.log_return AS log_return,
        coalesce(n.articles, 0) AS articles,
        p.bars AS bars,
        CASE
            WHEN n.received_until > p.received_until THEN n.received_until
            ELSE p.received_until
        END AS received_until
    FROM (
        SELECT
            symbol,
            window,
            realized,
            log_return,
            bars,
            received_until,
            row_number() OVER (PARTITION BY window ORDER BY realized DESC NULLS LAST, symbol) AS volatility_rank,
            row_number() OVER (PARTITION BY window ORDER BY log_return DESC NULLS LAST, symbol) AS return_rank
        FROM (
            SELECT
                symbol,
                hop(INTERVAL '1 minute', INTERVAL '30 minutes') AS window,
                count(DISTINCT CASE WHEN source <> 'clock' THEN start_timestamp END) AS bars,
                realized(start_timestamp, received_timestamp, close) AS realized,
                log_return(start_timestamp, received_timestamp, open, close) AS log_return,
                max(received_timestamp) AS received_until
            FROM stock_prices
            GROUP BY symbol, window
        )
        WHERE bars > 0
    ) p
    LEFT JOIN (
        SELECT
            symbol,
            window,
            articles,
            received_until,
            row_number() OVER (PARTITION BY window ORDER BY articles DESC, symbol) AS news_rank
        FROM (
            SELECT
                symbol,
                hop(INTERVAL '1 minute', INTERVAL '30 minutes') AS window,
                count(DISTINCT CASE WHEN source <> 'clock' AND symbol IS NOT NULL THEN id END) AS articles,
                max(received_timestamp) AS received_until
            FROM news_articles
            GROUP BY symbol, window
        )
        WHERE articles > 0
    ) n
    ON p.symbol = n.symbol AND p.window = n.window
);

== tickwire-live-news_impact-currencies
-- Tickwire's job news_impact-currencies, 2 tasks, functions e3b0c44298fc1c14; change sql/news_impact.sql, not this.
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
    bootstrap_servers = 'kafka:9092',
    topic = 'currency-prices',
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
    bootstrap_servers = 'kafka:9092',
    topic = 'news-articles',
    'source.offset' = 'earliest',
    'source.read_mode' = 'read_committed',
    idle_micros = 604800000000
);
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
    bootstrap_servers = 'kafka:9092',
    topic = 'news-impact-currencies',
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

== tickwire-live-news_reaction-currencies
-- Tickwire's job news_reaction-currencies, 2 tasks, functions e3b0c44298fc1c14; change sql/news_reaction.sql, not this.
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
    bootstrap_servers = 'kafka:9092',
    topic = 'currency-prices',
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
    bootstrap_servers = 'kafka:9092',
    topic = 'news-articles',
    'source.offset' = 'earliest',
    'source.read_mode' = 'read_committed',
    idle_micros = 604800000000
);

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
    bootstrap_servers = 'kafka:9092',
    topic = 'news-reaction-currencies',
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

== tickwire-live-signals-currencies
-- Tickwire's job signals-currencies, 2 tasks, functions e3b0c44298fc1c14; change sql/signals.sql, not this.
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
    bootstrap_servers = 'kafka:9092',
    topic = 'currency-prices',
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
    bootstrap_servers = 'kafka:9092',
    topic = 'news-articles',
    'source.offset' = 'earliest',
    'source.read_mode' = 'read_committed',
    idle_micros = 604800000000
);
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
    bootstrap_servers = 'kafka:9092',
    topic = 'signals-currencies',
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

== tickwire-live-volatility-currencies
-- Tickwire's job volatility-currencies, 2 tasks, functions e3b0c44298fc1c14; change sql/volatility.sql, not this.
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
    bootstrap_servers = 'kafka:9092',
    topic = 'currency-prices',
    'source.offset' = 'earliest',
    'source.read_mode' = 'read_committed',
    idle_micros = 604800000000
);
-- How volatile each symbol was in every window of 30 minutes, sliding by one.
--
-- Bars arrive repeated and corrected: every aggregate takes the bar's start
-- and the time it was received, and settles versions itself. Nothing is
-- filtered here: clock records must pass through, and readers drop them.
--
-- `bars` and `received_until` say what a row was made of: how many bars, and when
-- the last version of any had been received. One made of less never replaces it.

CREATE TABLE volatility (
    symbol TEXT,
    window_start TIMESTAMP,
    window_end TIMESTAMP,
    bars BIGINT,
    realized DOUBLE,
    bipower DOUBLE,
    parkinson DOUBLE,
    garman_klass DOUBLE,
    rogers_satchell DOUBLE,
    gkyz DOUBLE,
    yang_zhang DOUBLE,
    jump_share DOUBLE,
    log_return DOUBLE,
    volume DOUBLE,
    received_until TIMESTAMP
) WITH (
    connector = 'kafka',
    type = 'sink',
    format = 'json',
    'json.timestamp_format' = 'unix_millis',
    bootstrap_servers = 'kafka:9092',
    topic = 'volatility-currencies',
    'sink.commit_mode' = 'at_least_once',
    'sink.key_field' = 'symbol'
);

INSERT INTO volatility
SELECT
    symbol,
    window.start,
    window.end,
    bars,
    realized,
    bipower,
    parkinson,
    garman_klass,
    rogers_satchell,
    gkyz,
    yang_zhang,
    jump_share,
    log_return,
    volume,
    arrow_cast(received_until * 1000000, 'Timestamp(Nanosecond, None)')
FROM (
    SELECT
        symbol,
        hop(INTERVAL '1 minute', INTERVAL '30 minutes') AS window,
        count(DISTINCT start_timestamp) AS bars,
        realized(start_timestamp, received_timestamp, close) AS realized,
        bipower(start_timestamp, received_timestamp, close) AS bipower,
        parkinson(start_timestamp, received_timestamp, high, low) AS parkinson,
        garman_klass(start_timestamp, received_timestamp, open, high, low, close) AS garman_klass,
        rogers_satchell(start_timestamp, received_timestamp, open, high, low, close) AS rogers_satchell,
        gkyz(start_timestamp, received_timestamp, open, high, low, close) AS gkyz,
        yang_zhang(start_timestamp, received_timestamp, open, high, low, close) AS yang_zhang,
        jump_share(start_timestamp, received_timestamp, close) AS jump_share,
        log_return(start_timestamp, received_timestamp, open, close) AS log_return,
        volume(start_timestamp, received_timestamp, volume) AS volume,
        max(received_timestamp) AS received_until
    FROM stock_prices
    GROUP BY symbol, window
);
