-- Is there a FAST run of this model at this revision under this toolchain, or a recorded failure of its config?
SELECT EXISTS (
           SELECT 1 FROM runs r
           JOIN models m ON m.id = r.model_id
           JOIN toolchains t ON t.id = r.toolchain_id
           WHERE m.name = :model AND r.revision = :revision AND t.label = :toolchain AND r.mode = 'fast'
       ),
       EXISTS (
           SELECT 1 FROM failures f
           JOIN toolchains t ON t.id = f.toolchain_id
           WHERE f.model = :model AND f.config = :config AND t.label = :toolchain
       )
