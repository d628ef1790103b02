"""The first schema: every table, index and view.

The application id marks the file as auditdb's, so that a stranger's database is refused untouched. The text of each
statement is frozen here: a migration that imported today's declarations would change with them.

Until version 0.1.0 is tagged this script is edited in place.
"""

from alembic import op

revision = "0001"
down_revision = None

APPLICATION_ID = 0x41554442  # 'AUDB'

TABLES = (
    """
CREATE TABLE checkpoints (
    id INTEGER NOT NULL,
    digest TEXT NOT NULL,
    n_files INTEGER NOT NULL,
    n_tensors INTEGER NOT NULL,
    n_numbers INTEGER NOT NULL,
    n_bytes INTEGER NOT NULL,
    index_file TEXT NOT NULL,
    index_total_size INTEGER,
    index_metadata TEXT NOT NULL,
    notes TEXT NOT NULL,
    incomplete TEXT NOT NULL,
    CONSTRAINT pk_checkpoints PRIMARY KEY (id),
    CONSTRAINT uq_checkpoints_digest UNIQUE (digest)
)
 STRICT
""",
    """
CREATE TABLE configs (
    id INTEGER NOT NULL,
    digest TEXT NOT NULL,
    text TEXT NOT NULL,
    CONSTRAINT pk_configs PRIMARY KEY (id),
    CONSTRAINT uq_configs_digest UNIQUE (digest)
)
 STRICT
""",
    """
CREATE TABLE dtype_maps (
    id INTEGER NOT NULL,
    digest TEXT NOT NULL,
    default_dtype TEXT NOT NULL,
    CONSTRAINT pk_dtype_maps PRIMARY KEY (id),
    CONSTRAINT uq_dtype_maps_digest UNIQUE (digest)
)
 STRICT
""",
    """
CREATE TABLE expectations (
    id INTEGER NOT NULL,
    digest TEXT NOT NULL,
    n_tensors INTEGER NOT NULL,
    CONSTRAINT pk_expectations PRIMARY KEY (id),
    CONSTRAINT uq_expectations_digest UNIQUE (digest)
)
 STRICT
""",
    """
CREATE TABLE models (
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    CONSTRAINT pk_models PRIMARY KEY (id),
    CONSTRAINT ck_models_kind CHECK (kind IN ('hub', 'folder')),
    CONSTRAINT uq_models_name UNIQUE (name)
)
 STRICT
""",
    """
CREATE TABLE structures (
    id INTEGER NOT NULL,
    digest TEXT NOT NULL,
    n_modules INTEGER NOT NULL,
    n_params INTEGER NOT NULL,
    n_trainable INTEGER NOT NULL,
    n_buffers INTEGER NOT NULL,
    own_total INTEGER,
    input_embedding TEXT NOT NULL,
    output_embedding TEXT NOT NULL,
    CONSTRAINT pk_structures PRIMARY KEY (id),
    CONSTRAINT uq_structures_digest UNIQUE (digest)
)
 STRICT
""",
    """
CREATE TABLE toolchains (
    id INTEGER NOT NULL,
    label TEXT NOT NULL,
    python TEXT NOT NULL,
    torch TEXT NOT NULL,
    transformers TEXT NOT NULL,
    accelerate TEXT NOT NULL,
    safetensors TEXT NOT NULL,
    huggingface_hub TEXT NOT NULL,
    auditdb TEXT NOT NULL,
    CONSTRAINT pk_toolchains PRIMARY KEY (id),
    CONSTRAINT uq_toolchains_label UNIQUE (label)
)
 STRICT
""",
    """
CREATE TABLE checkpoint_faults (
    checkpoint_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    check_name TEXT NOT NULL,
    file TEXT NOT NULL,
    message TEXT NOT NULL,
    CONSTRAINT pk_checkpoint_faults PRIMARY KEY (checkpoint_id, position),
    CONSTRAINT fk_checkpoint_faults_checkpoint_id FOREIGN KEY(checkpoint_id) REFERENCES checkpoints (id)
)
 WITHOUT ROWID,
 STRICT
""",
    """
CREATE TABLE checkpoint_tensors (
    checkpoint_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    file TEXT NOT NULL,
    shape TEXT NOT NULL,
    dtype TEXT NOT NULL,
    "begin" INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    indexed_in TEXT NOT NULL,
    CONSTRAINT pk_checkpoint_tensors PRIMARY KEY (checkpoint_id, name, file),
    CONSTRAINT fk_checkpoint_tensors_checkpoint_id FOREIGN KEY(checkpoint_id) REFERENCES checkpoints (id)
)
 WITHOUT ROWID,
 STRICT
""",
    """
CREATE TABLE dtype_exceptions (
    dtype_map_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    dtype TEXT NOT NULL,
    CONSTRAINT pk_dtype_exceptions PRIMARY KEY (dtype_map_id, name),
    CONSTRAINT fk_dtype_exceptions_dtype_map_id FOREIGN KEY(dtype_map_id) REFERENCES dtype_maps (id)
)
 WITHOUT ROWID,
 STRICT
""",
    """
CREATE TABLE expected_tensors (
    expectation_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    shape TEXT NOT NULL,
    CONSTRAINT pk_expected_tensors PRIMARY KEY (expectation_id, name),
    CONSTRAINT fk_expected_tensors_expectation_id FOREIGN KEY(expectation_id) REFERENCES expectations (id)
)
 WITHOUT ROWID,
 STRICT
""",
    """
CREATE TABLE failures (
    toolchain_id INTEGER NOT NULL,
    model TEXT NOT NULL,
    config TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    digest TEXT NOT NULL,
    CONSTRAINT pk_failures PRIMARY KEY (toolchain_id, model, config),
    CONSTRAINT fk_failures_toolchain_id FOREIGN KEY(toolchain_id) REFERENCES toolchains (id)
)
 WITHOUT ROWID,
 STRICT
""",
    """
CREATE TABLE files (
    checkpoint_id INTEGER NOT NULL,
    path TEXT NOT NULL,
    kind TEXT NOT NULL,
    size INTEGER,
    sha256 TEXT NOT NULL,
    header_bytes INTEGER NOT NULL,
    CONSTRAINT pk_files PRIMARY KEY (checkpoint_id, path),
    CONSTRAINT fk_files_checkpoint_id FOREIGN KEY(checkpoint_id) REFERENCES checkpoints (id)
)
 WITHOUT ROWID,
 STRICT
""",
    """
CREATE TABLE index_strays (
    checkpoint_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    file TEXT NOT NULL,
    CONSTRAINT pk_index_strays PRIMARY KEY (checkpoint_id, name),
    CONSTRAINT fk_index_strays_checkpoint_id FOREIGN KEY(checkpoint_id) REFERENCES checkpoints (id)
)
 WITHOUT ROWID,
 STRICT
""",
    """
CREATE TABLE modules (
    structure_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    class TEXT NOT NULL,
    parent TEXT NOT NULL,
    depth INTEGER NOT NULL,
    n_params INTEGER NOT NULL,
    n_trainable INTEGER NOT NULL,
    n_buffers INTEGER NOT NULL,
    CONSTRAINT pk_modules PRIMARY KEY (structure_id, position),
    CONSTRAINT uq_modules_structure_id_name UNIQUE (structure_id, name),
    CONSTRAINT fk_modules_structure_id FOREIGN KEY(structure_id) REFERENCES structures (id)
)
 WITHOUT ROWID,
 STRICT
""",
    """
CREATE TABLE parameters (
    structure_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    module INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    shape TEXT NOT NULL,
    numel INTEGER NOT NULL,
    trainable INTEGER NOT NULL,
    persistent INTEGER NOT NULL,
    tied_to TEXT NOT NULL,
    CONSTRAINT pk_parameters PRIMARY KEY (structure_id, position),
    CONSTRAINT uq_parameters_structure_id_name UNIQUE (structure_id, name),
    CONSTRAINT ck_parameters_kind CHECK (kind IN ('parameter', 'buffer')),
    CONSTRAINT ck_parameters_flags CHECK (trainable IN (0, 1) AND persistent IN (0, 1)),
    CONSTRAINT fk_parameters_structure_id FOREIGN KEY(structure_id) REFERENCES structures (id)
)
 WITHOUT ROWID,
 STRICT
""",
    """
CREATE INDEX ix_parameters_structure_id_module ON parameters (structure_id, module)
""",
    """
CREATE TABLE readings (
    id INTEGER NOT NULL,
    structure_id INTEGER NOT NULL,
    digest TEXT NOT NULL,
    n_groups INTEGER NOT NULL,
    n_routers INTEGER NOT NULL,
    n_experts INTEGER NOT NULL,
    n_shared INTEGER NOT NULL,
    n_zero INTEGER NOT NULL,
    n_active_params INTEGER,
    n_active_params_no_embedding INTEGER,
    active_is_bound INTEGER NOT NULL,
    notes TEXT NOT NULL,
    CONSTRAINT pk_readings PRIMARY KEY (id),
    CONSTRAINT uq_readings_structure_id_digest UNIQUE (structure_id, digest),
    CONSTRAINT ck_readings_active_is_bound CHECK (active_is_bound IN (0, 1)),
    CONSTRAINT fk_readings_structure_id FOREIGN KEY(structure_id) REFERENCES structures (id)
)
 STRICT
""",
    """
CREATE TABLE experts (
    reading_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    class TEXT NOT NULL,
    parent TEXT NOT NULL,
    moe_group TEXT NOT NULL,
    expert INTEGER,
    kind TEXT NOT NULL,
    n_params INTEGER NOT NULL,
    source TEXT NOT NULL,
    CONSTRAINT pk_experts PRIMARY KEY (reading_id, position),
    CONSTRAINT uq_experts_reading_id_name UNIQUE (reading_id, name),
    CONSTRAINT ck_experts_kind CHECK (kind IN ('routed', 'shared', 'zero')),
    CONSTRAINT ck_experts_numbered CHECK ((kind = 'shared') = (expert IS NULL)),
    CONSTRAINT ck_experts_source CHECK (source IN ('declared', 'family', 'structural', 'name')),
    CONSTRAINT fk_experts_reading_id FOREIGN KEY(reading_id) REFERENCES readings (id)
)
 WITHOUT ROWID,
 STRICT
""",
    """
CREATE TABLE module_marks (
    reading_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    is_router INTEGER NOT NULL,
    is_expert INTEGER NOT NULL,
    moe_group TEXT NOT NULL,
    CONSTRAINT pk_module_marks PRIMARY KEY (reading_id, position),
    CONSTRAINT ck_module_marks_flags CHECK (is_router IN (0, 1) AND is_expert IN (0, 1)),
    CONSTRAINT fk_module_marks_reading_id FOREIGN KEY(reading_id) REFERENCES readings (id)
)
 WITHOUT ROWID,
 STRICT
""",
    """
CREATE TABLE moe_groups (
    reading_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    n_routers INTEGER NOT NULL,
    n_experts INTEGER NOT NULL,
    n_shared INTEGER NOT NULL,
    n_zero INTEGER NOT NULL,
    top_k INTEGER,
    n_params INTEGER NOT NULL,
    CONSTRAINT pk_moe_groups PRIMARY KEY (reading_id, position),
    CONSTRAINT uq_moe_groups_reading_id_name UNIQUE (reading_id, name),
    CONSTRAINT fk_moe_groups_reading_id FOREIGN KEY(reading_id) REFERENCES readings (id)
)
 WITHOUT ROWID,
 STRICT
""",
    """
CREATE TABLE routers (
    reading_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    class TEXT NOT NULL,
    moe_group TEXT NOT NULL,
    n_experts INTEGER,
    top_k INTEGER,
    source TEXT NOT NULL,
    CONSTRAINT pk_routers PRIMARY KEY (reading_id, position),
    CONSTRAINT uq_routers_reading_id_name UNIQUE (reading_id, name),
    CONSTRAINT ck_routers_source CHECK (source IN ('declared', 'family', 'structural', 'name')),
    CONSTRAINT fk_routers_reading_id FOREIGN KEY(reading_id) REFERENCES readings (id)
)
 WITHOUT ROWID,
 STRICT
""",
    """
CREATE TABLE runs (
    id INTEGER NOT NULL,
    uid TEXT NOT NULL,
    digest TEXT NOT NULL,
    model_id INTEGER NOT NULL,
    toolchain_id INTEGER NOT NULL,
    config_id INTEGER NOT NULL,
    structure_id INTEGER NOT NULL,
    reading_id INTEGER NOT NULL,
    dtype_map_id INTEGER NOT NULL,
    expectation_id INTEGER,
    checkpoint_id INTEGER,
    mode TEXT NOT NULL,
    revision TEXT NOT NULL,
    requested TEXT NOT NULL,
    status TEXT NOT NULL,
    model_class TEXT NOT NULL,
    rung TEXT NOT NULL,
    reusable INTEGER NOT NULL,
    reused TEXT NOT NULL,
    started_at TEXT NOT NULL,
    duration_ms INTEGER NOT NULL,
    hooks_ran INTEGER NOT NULL,
    notes TEXT NOT NULL,
    build_notes TEXT NOT NULL,
    CONSTRAINT pk_runs PRIMARY KEY (id),
    CONSTRAINT ck_runs_mode CHECK (mode IN ('fast', 'full')),
    CONSTRAINT ck_runs_status CHECK (status IN ('PASS', 'FAIL')),
    CONSTRAINT ck_runs_rung CHECK (rung IN ('meta', 'init_empty_weights', 'headers', 'loaded')),
    CONSTRAINT ck_runs_flags CHECK (reusable IN (0, 1) AND hooks_ran IN (0, 1)),
    CONSTRAINT uq_runs_uid UNIQUE (uid),
    CONSTRAINT fk_runs_model_id FOREIGN KEY(model_id) REFERENCES models (id),
    CONSTRAINT fk_runs_toolchain_id FOREIGN KEY(toolchain_id) REFERENCES toolchains (id),
    CONSTRAINT fk_runs_config_id FOREIGN KEY(config_id) REFERENCES configs (id),
    CONSTRAINT fk_runs_structure_id FOREIGN KEY(structure_id) REFERENCES structures (id),
    CONSTRAINT fk_runs_reading_id FOREIGN KEY(reading_id) REFERENCES readings (id),
    CONSTRAINT fk_runs_dtype_map_id FOREIGN KEY(dtype_map_id) REFERENCES dtype_maps (id),
    CONSTRAINT fk_runs_expectation_id FOREIGN KEY(expectation_id) REFERENCES expectations (id),
    CONSTRAINT fk_runs_checkpoint_id FOREIGN KEY(checkpoint_id) REFERENCES checkpoints (id)
)
 STRICT
""",
    """
CREATE INDEX ix_runs_checkpoint_id ON runs (checkpoint_id)
""",
    """
CREATE INDEX ix_runs_config_id ON runs (config_id)
""",
    """
CREATE INDEX ix_runs_dtype_map_id ON runs (dtype_map_id)
""",
    """
CREATE INDEX ix_runs_expectation_id ON runs (expectation_id)
""",
    """
CREATE INDEX ix_runs_model_id ON runs (model_id)
""",
    """
CREATE INDEX ix_runs_model_id_revision_toolchain_id_mode_started_at ON runs (model_id, revision, toolchain_id, mode, started_at)
""",
    """
CREATE INDEX ix_runs_reading_id ON runs (reading_id)
""",
    """
CREATE INDEX ix_runs_started_at ON runs (started_at)
""",
    """
CREATE INDEX ix_runs_structure_id ON runs (structure_id)
""",
    """
CREATE INDEX ix_runs_toolchain_id ON runs (toolchain_id)
""",
    """
CREATE TABLE code_files (
    run_id INTEGER NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    CONSTRAINT pk_code_files PRIMARY KEY (run_id, path),
    CONSTRAINT fk_code_files_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
)
 WITHOUT ROWID,
 STRICT
""",
    """
CREATE TABLE endpoints (
    run_id INTEGER NOT NULL,
    url TEXT NOT NULL,
    served_name TEXT NOT NULL,
    root TEXT NOT NULL,
    version TEXT NOT NULL,
    payload TEXT NOT NULL,
    CONSTRAINT pk_endpoints PRIMARY KEY (run_id),
    CONSTRAINT fk_endpoints_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
)
 STRICT
""",
    """
CREATE TABLE hooks (
    run_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    kind TEXT NOT NULL,
    module TEXT NOT NULL,
    shape TEXT,
    mean REAL,
    std REAL,
    detail TEXT NOT NULL,
    CONSTRAINT pk_hooks PRIMARY KEY (run_id, position),
    CONSTRAINT fk_hooks_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
)
 WITHOUT ROWID,
 STRICT
""",
    """
CREATE TABLE integrity (
    run_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    expected TEXT NOT NULL,
    seen TEXT NOT NULL,
    reason TEXT NOT NULL,
    CONSTRAINT pk_integrity PRIMARY KEY (run_id, position),
    CONSTRAINT uq_integrity_run_id_name UNIQUE (run_id, name),
    CONSTRAINT ck_integrity_status CHECK (status IN ('PASS', 'FAIL', 'SKIP')),
    CONSTRAINT fk_integrity_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
)
 WITHOUT ROWID,
 STRICT
""",
    """
CREATE TABLE weight_stats (
    run_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    expert INTEGER NOT NULL,
    norm REAL,
    n_zero INTEGER NOT NULL,
    n_nan INTEGER NOT NULL,
    n_inf INTEGER NOT NULL,
    numel INTEGER NOT NULL,
    CONSTRAINT pk_weight_stats PRIMARY KEY (run_id, name, expert),
    CONSTRAINT fk_weight_stats_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
)
 WITHOUT ROWID,
 STRICT
""",
)

VIEWS = (
    """
CREATE VIEW run_key AS
SELECT r.id AS run_id, m.name AS model, r.revision AS revision, t.label AS toolchain,
       r.structure_id, r.reading_id, r.dtype_map_id
FROM runs r
JOIN models m ON m.id = r.model_id
JOIN toolchains t ON t.id = r.toolchain_id
""",
    """
CREATE VIEW run_summary AS
SELECT r.id AS run_id, m.name AS model, r.revision AS revision, t.label AS toolchain, r.mode AS mode,
       r.status AS status, r.model_class AS model_class, r.rung AS rung, r.started_at AS started_at,
       r.duration_ms AS duration_ms, s.n_modules AS n_modules, s.n_params AS n_params,
       s.n_trainable AS n_trainable, s.n_buffers AS n_buffers, g.n_active_params AS n_active_params,
       g.n_active_params_no_embedding AS n_active_params_no_embedding, g.n_groups AS n_groups,
       g.n_routers AS n_routers, g.n_experts AS n_experts, g.n_shared AS n_shared,
       NOT EXISTS (
           SELECT 1 FROM runs newer
           WHERE newer.model_id = r.model_id AND newer.revision = r.revision
             AND newer.toolchain_id = r.toolchain_id AND newer.mode = r.mode
             AND (newer.started_at, newer.id) > (r.started_at, r.id)
       ) AS is_latest
FROM runs r
JOIN models m ON m.id = r.model_id
JOIN toolchains t ON t.id = r.toolchain_id
JOIN structures s ON s.id = r.structure_id
JOIN readings g ON g.id = r.reading_id
""",
    """
CREATE VIEW run_modules AS
SELECT k.run_id, k.model, k.revision, k.toolchain, m.position, m.name, m.class, m.parent, m.depth,
       m.n_params, m.n_trainable, m.n_buffers,
       coalesce(x.is_router, 0) AS is_router, coalesce(x.is_expert, 0) AS is_expert,
       coalesce(x.moe_group, '') AS moe_group
FROM run_key k
JOIN modules m ON m.structure_id = k.structure_id
LEFT JOIN module_marks x ON x.reading_id = k.reading_id AND x.position = m.position
""",
    """
CREATE VIEW run_parameters AS
SELECT k.run_id, k.model, k.revision, k.toolchain, m.name AS module, p.name, p.kind, p.shape,
       coalesce(e.dtype, d.default_dtype) AS dtype, p.numel, p.trainable, p.persistent, p.tied_to
FROM run_key k
JOIN parameters p ON p.structure_id = k.structure_id
JOIN modules m ON m.structure_id = p.structure_id AND m.position = p.module
JOIN dtype_maps d ON d.id = k.dtype_map_id
LEFT JOIN dtype_exceptions e ON e.dtype_map_id = k.dtype_map_id AND e.name = p.name
""",
    """
CREATE VIEW run_routers AS
SELECT k.run_id, k.model, k.revision, k.toolchain, x.name, x.class, x.moe_group, x.n_experts, x.top_k, x.source
FROM run_key k
JOIN routers x ON x.reading_id = k.reading_id
""",
    """
CREATE VIEW run_experts AS
SELECT k.run_id, k.model, k.revision, k.toolchain, x.name, x.class, x.parent, x.moe_group, x.expert, x.kind,
       x.n_params, x.source
FROM run_key k
JOIN experts x ON x.reading_id = k.reading_id
""",
    """
CREATE VIEW run_moe_groups AS
SELECT k.run_id, k.model, k.revision, k.toolchain, x.name, x.n_routers, x.n_experts, x.n_shared, x.top_k, x.n_params
FROM run_key k
JOIN moe_groups x ON x.reading_id = k.reading_id
""",
    """
CREATE VIEW run_integrity AS
SELECT k.run_id, k.model, k.revision, k.toolchain, x.name, x.status, x.expected, x.seen, x.reason
FROM run_key k
JOIN integrity x ON x.run_id = k.run_id
""",
    """
CREATE VIEW run_hooks AS
SELECT k.run_id, k.model, k.revision, k.toolchain, x.kind, x.module, x.shape, x.mean, x.std, x.detail
FROM run_key k
JOIN hooks x ON x.run_id = k.run_id
""",
)


def upgrade() -> None:
    op.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    for statement in TABLES + VIEWS:
        op.execute(statement.strip())
