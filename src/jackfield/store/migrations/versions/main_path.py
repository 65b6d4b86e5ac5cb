"""The tables of the main path: hosts, devices, flavors, networks, ports, instances, claims, migrations."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attribute",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_attribute"),
    )
    op.create_table(
        "flavor",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("alternatives", sa.JSON(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("strategy", sa.String(32)),
        sa.PrimaryKeyConstraint("name", name="pk_flavor"),
    )
    op.create_table(
        "host",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("boot_id", sa.String()),
        sa.Column("migrate_uri", sa.String()),
        sa.Column("bridge_mappings", sa.JSON(), nullable=False),
        sa.Column("desired_version", sa.BigInteger(), nullable=False),
        sa.Column("served_version", sa.BigInteger(), nullable=False),
        sa.Column("inventory_digest", sa.String()),
        sa.Column("observed", sa.JSON()),
        sa.Column("observed_version", sa.BigInteger(), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_host"),
    )
    op.create_table(
        "idempotency",
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("request_hash", sa.String(), nullable=False),
        sa.Column("response", sa.JSON(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", name="pk_idempotency"),
    )
    op.create_index("ix_idempotency_expires_at", "idempotency", ["expires_at"])
    op.create_table(
        "meta",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("installation", sa.String(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_meta_one_row")),
        sa.PrimaryKeyConstraint("id", name="pk_meta"),
    )
    op.create_table(
        "migration",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("instance_id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("direction", sa.String(32), nullable=False),
        sa.Column("position", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=False),
        sa.Column("abort_requested", sa.Boolean(), nullable=False),
        sa.Column("resume_source", sa.Boolean(), nullable=False),
        sa.Column("bandwidth_mib", sa.Integer()),
        sa.Column("survey", sa.JSON(), nullable=False),
        sa.Column("error", sa.String()),
        sa.Column("records", sa.JSON(), nullable=False),
        sa.Column("paused_seconds", sa.Float()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_migration"),
    )
    op.create_index("ix_migration_instance_id", "migration", ["instance_id"])
    op.create_index(
        "uq_migration_under_way",
        "migration",
        ["instance_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('running', 'alarm')"),
        postgresql_where=sa.text("state IN ('running', 'alarm')"),
    )
    op.create_table(
        "network",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("physical_network", sa.String(), nullable=False),
        sa.Column("segment", sa.String(32), nullable=False),
        sa.Column("vlan", sa.Integer()),
        sa.PrimaryKeyConstraint("id", name="pk_network"),
        sa.UniqueConstraint("name", name="uq_network_name"),
    )
    op.create_table(
        "claim",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("device_id", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("flavor", sa.String()),
        sa.Column("strategy", sa.String(32)),
        sa.Column("instance_id", sa.String()),
        sa.Column("port_id", sa.String()),
        sa.Column("migration_id", sa.String()),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True)),
        sa.Column("desired_version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["host"], ["host.name"], name="fk_claim_host"),
        sa.PrimaryKeyConstraint("id", name="pk_claim"),
    )
    op.create_index("ix_claim_device_id", "claim", ["device_id"])
    op.create_index("ix_claim_host", "claim", ["host"])
    op.create_index("ix_claim_instance_id", "claim", ["instance_id"])
    op.create_index(
        "ix_claim_lease",
        "claim",
        ["lease_expires_at"],
        sqlite_where=sa.text("state = 'held'"),
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_index("ix_claim_migration_id", "claim", ["migration_id"])
    op.create_index("ix_claim_port_id", "claim", ["port_id"])
    op.create_table(
        "device",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("address", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("vendor_id", sa.String(), nullable=False),
        sa.Column("product_id", sa.String(), nullable=False),
        sa.Column("class_id", sa.String(), nullable=False),
        sa.Column("parent", sa.String(16)),
        sa.Column("parent_identity", sa.String()),
        sa.Column("parent_id", sa.String()),
        sa.Column("vf_index", sa.Integer()),
        sa.Column("numa_node", sa.Integer()),
        sa.Column("iommu_group", sa.Integer()),
        sa.Column("netdev", sa.String()),
        sa.Column("driver", sa.String()),
        sa.Column("mac", sa.String()),
        sa.Column("link_speed_mbps", sa.Integer()),
        sa.Column("link_state", sa.String()),
        sa.Column("is_real_vf", sa.Boolean(), nullable=False),
        sa.Column("offered", sa.Boolean(), nullable=False),
        sa.Column("refusal", sa.String()),
        sa.Column("pool_network", sa.String()),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("tainted", sa.String()),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["host"], ["host.name"], name="fk_device_host"),
        sa.PrimaryKeyConstraint("id", name="pk_device"),
    )
    op.create_index("ix_device_host", "device", ["host"])
    op.create_index("ix_device_parent_id", "device", ["parent_id"])
    op.create_table(
        "instance",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("machine", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("host", sa.String()),
        sa.Column("start_generation", sa.Integer(), nullable=False),
        sa.Column("started_generation", sa.Integer(), nullable=False),
        sa.Column("strategy", sa.String(32)),
        sa.Column("error", sa.String()),
        sa.ForeignKeyConstraint(["host"], ["host.name"], name="fk_instance_host"),
        sa.PrimaryKeyConstraint("id", name="pk_instance"),
        sa.UniqueConstraint("name", name="uq_instance_name"),
    )
    op.create_index("ix_instance_host", "instance", ["host"])
    op.create_table(
        "token",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("host", sa.String()),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["host"], ["host.name"], name="fk_token_host"),
        sa.PrimaryKeyConstraint("id", name="pk_token"),
        sa.UniqueConstraint("name", name="uq_token_name"),
        sa.UniqueConstraint("secret_hash", name="uq_token_secret_hash"),
    )
    op.create_table(
        "tombstone",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("instance_id", sa.String(), nullable=False),
        sa.Column("power", sa.String(32), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["host"], ["host.name"], name="fk_tombstone_host"),
        sa.PrimaryKeyConstraint("host", "instance_id", name="pk_tombstone"),
    )
    op.create_table(
        "hold",
        sa.Column("device_id", sa.String(), nullable=False),
        sa.Column("claim_id", sa.String(), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(["claim_id"], ["claim.id"], name="fk_hold_claim_id"),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name="fk_hold_device_id"),
        sa.PrimaryKeyConstraint("device_id", name="pk_hold"),
    )
    op.create_index("ix_hold_claim_id", "hold", ["claim_id"])
    op.create_table(
        "port",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("network_id", sa.String(), nullable=False),
        sa.Column("mac", sa.String(), nullable=False),
        sa.Column("vnic_type", sa.String(32), nullable=False),
        sa.Column("flavor", sa.String()),
        sa.Column("strategy", sa.String(32)),
        sa.Column("instance_id", sa.String()),
        sa.Column("number", sa.Integer()),
        sa.Column("guest_address", sa.String()),
        sa.ForeignKeyConstraint(["instance_id"], ["instance.id"], name="fk_port_instance_id"),
        sa.ForeignKeyConstraint(["network_id"], ["network.id"], name="fk_port_network_id"),
        sa.PrimaryKeyConstraint("id", name="pk_port"),
        sa.UniqueConstraint("mac", name="uq_port_mac"),
        sa.UniqueConstraint("name", name="uq_port_name"),
    )
    op.create_index("ix_port_flavor", "port", ["flavor"])
    op.create_index("ix_port_instance_id", "port", ["instance_id"])
    op.create_index("ix_port_network_id", "port", ["network_id"])
    op.create_table(
        "binding",
        sa.Column("port_id", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("vif_type", sa.String(32), nullable=False),
        sa.Column("profile", sa.JSON(), nullable=False),
        sa.Column("vif_details", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["host"], ["host.name"], name="fk_binding_host"),
        sa.ForeignKeyConstraint(["port_id"], ["port.id"], name="fk_binding_port_id"),
        sa.PrimaryKeyConstraint("port_id", "host", name="pk_binding"),
    )
    op.create_index(
        "uq_binding_active",
        "binding",
        ["port_id"],
        unique=True,
        sqlite_where=sa.text("is_active"),
        postgresql_where=sa.text("is_active"),
    )
