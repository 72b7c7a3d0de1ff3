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
    bootstrap_servers = '{{kafka.bootstrap_servers}}',
    topic = 'volatility',
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
