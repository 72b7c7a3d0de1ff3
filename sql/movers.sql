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
    bootstrap_servers = '{{kafka.bootstrap_servers}}',
    topic = 'movers',
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
