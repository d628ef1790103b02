-- Failures of sweeps with what their digests cover.
SELECT t.label, f.model, f.config, f.reason, f.at, f.digest
FROM failures f
JOIN toolchains t ON t.id = f.toolchain_id
