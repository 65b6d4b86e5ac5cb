"""The tables, in one place; their columns bear the names of the model's fields.

    host ──< device ──< hold >── claim          network ──< port ──< binding
    flavor   attribute                          instance ──< (port)
    migration   tombstone   token   idempotency   meta

Where there is no foreign key, there is none on purpose. Claims and migrations are history too: they outlive
their device, instance, port and flavor. A port keeps the name of a flavor that was deleted by force.
A change here wants a revision in `jackfield/store/migrations/versions`; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    text,
)

from jackfield.model.attachment import ObservedState, Power
from jackfield.model.claim import ClaimPurpose, ClaimState, HoldReason
from jackfield.model.device import AttributeType, DeviceKind, Scalar
from jackfield.model.instance import InstanceStatus, Machine
from jackfield.model.migration import Direction, MigrationState, Plan, StepName, StepRecord, StrategyName
from jackfield.model.network import SegmentKind
from jackfield.model.port import VifType, VnicType
from jackfield.store.type import Address, Alternatives, Document, Moment, choice

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

meta = Table(
    "meta",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # Agents freeze when they meet another one: it tells a restored or a mistaken control plane apart.
    Column("installation", String, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

host = Table(
    "host",
    metadata,
    Column("name", String, primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("boot_id", String),
    Column("migrate_uri", String),
    Column("bridge_mappings", Document[Mapping[str, str]](Mapping[str, str]), nullable=False),
    Column("desired_version", BigInteger, nullable=False),
    Column("served_version", BigInteger, nullable=False),
    Column("inventory_digest", String),
    Column("observed", Document[ObservedState](ObservedState)),
    Column("observed_version", BigInteger, nullable=False),
    Column("last_seen", Moment),
    Column("created_at", Moment, nullable=False),
)

device = Table(
    "device",
    metadata,
    Column("id", String, primary_key=True),
    Column("host", ForeignKey("host.name"), nullable=False, index=True),
    Column("identity", String, nullable=False),
    Column("address", Address, nullable=False),
    Column("kind", choice(DeviceKind), nullable=False),
    Column("vendor_id", String, nullable=False),
    Column("product_id", String, nullable=False),
    Column("class_id", String, nullable=False),
    Column("parent", Address),
    Column("parent_identity", String),
    # The PF's id. No foreign key: an inventory may show a VF without its PF (bound to a foreign driver).
    Column("parent_id", String, index=True),
    Column("vf_index", Integer),
    Column("numa_node", Integer),
    Column("iommu_group", Integer),
    Column("netdev", String),
    Column("driver", String),
    Column("mac", String),
    Column("link_speed_mbps", Integer),
    Column("link_state", String),
    Column("is_real_vf", Boolean, nullable=False),
    Column("offered", Boolean, nullable=False),
    Column("refusal", String),
    Column("pool_network", String),
    Column("attributes", Document[Mapping[str, Scalar]](Mapping[str, Scalar]), nullable=False),
    Column("tainted", String),
    Column("present", Boolean, nullable=False),
)

attribute = Table(
    "attribute",
    metadata,
    Column("name", String, primary_key=True),
    Column("type", choice(AttributeType), nullable=False),
    # Who declared it first, for the message when another host disagrees; it may be gone by then.
    Column("host", String, nullable=False),
)

flavor = Table(
    "flavor",
    metadata,
    Column("name", String, primary_key=True),
    Column("alternatives", Alternatives, nullable=False),
    Column("description", String, nullable=False),
    Column("strategy", choice(StrategyName)),
)

network = Table(
    "network",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("physical_network", String, nullable=False),
    Column("segment", choice(SegmentKind), nullable=False),
    Column("vlan", Integer),
)

instance = Table(
    "instance",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("machine", Document[Machine](Machine), nullable=False),
    Column("status", choice(InstanceStatus), nullable=False),
    Column("host", ForeignKey("host.name"), index=True),
    Column("start_generation", Integer, nullable=False),
    Column("started_generation", Integer, nullable=False),
    Column("strategy", choice(StrategyName)),
    Column("error", String),
)

port = Table(
    "port",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("network_id", ForeignKey("network.id"), nullable=False, index=True),
    Column("mac", String, nullable=False, unique=True),
    Column("vnic_type", choice(VnicType), nullable=False),
    Column("flavor", String, index=True),
    Column("strategy", choice(StrategyName)),
    Column("instance_id", ForeignKey("instance.id"), index=True),
    Column("number", Integer),
    Column("guest_address", String),
)

binding = Table(
    "binding",
    metadata,
    Column("port_id", ForeignKey("port.id"), primary_key=True),
    Column("host", ForeignKey("host.name"), primary_key=True),
    Column("is_active", Boolean, nullable=False),
    Column("vif_type", choice(VifType), nullable=False),
    Column("profile", Document[Mapping[str, Any]](Mapping[str, Any]), nullable=False),
    Column("vif_details", Document[Mapping[str, Any]](Mapping[str, Any]), nullable=False),
)
Index(
    "uq_binding_active",
    binding.c.port_id,
    unique=True,
    sqlite_where=text("is_active"),
    postgresql_where=text("is_active"),
)

claim = Table(
    "claim",
    metadata,
    Column("id", String, primary_key=True),
    Column("device_id", String, nullable=False, index=True),
    Column("host", ForeignKey("host.name"), nullable=False, index=True),
    Column("state", choice(ClaimState), nullable=False),
    Column("purpose", choice(ClaimPurpose), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("flavor", String),
    Column("strategy", choice(StrategyName)),
    Column("instance_id", String, index=True),
    Column("port_id", String, index=True),
    Column("migration_id", String, index=True),
    Column("lease_expires_at", Moment),
    Column("desired_version", BigInteger, nullable=False),
)
# The lease sweep looks here every few seconds, and most claims are active.
Index(
    "ix_claim_lease",
    claim.c.lease_expires_at,
    sqlite_where=text("state = 'held'"),
    postgresql_where=text("state = 'held'"),
)

# What makes a claim exclusive: the primary key refuses a second holder, whoever asks and however.
hold = Table(
    "hold",
    metadata,
    Column("device_id", ForeignKey("device.id"), primary_key=True),
    Column("claim_id", ForeignKey("claim.id"), nullable=False, index=True),
    Column("reason", choice(HoldReason), nullable=False),
)

migration = Table(
    "migration",
    metadata,
    Column("id", String, primary_key=True),
    Column("instance_id", String, nullable=False, index=True),
    Column("source", String, nullable=False),
    Column("target", String, nullable=False),
    Column("plan", Document[Plan](Plan), nullable=False),
    Column("state", choice(MigrationState), nullable=False),
    Column("direction", choice(Direction), nullable=False),
    Column("position", choice(StepName), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("deadline", Moment, nullable=False),
    Column("abort_requested", Boolean, nullable=False),
    Column("resume_source", Boolean, nullable=False),
    Column("bandwidth_mib", Integer),
    Column("survey", Document[Mapping[str, int]](Mapping[str, int]), nullable=False),
    Column("error", String),
    Column("records", Document[tuple[StepRecord, ...]](tuple[StepRecord, ...]), nullable=False),
    Column("paused_seconds", Float),
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment),
)
# An alarm is not over: a second move of the same guest would make a bad thing worse.
Index(
    "uq_migration_under_way",
    migration.c.instance_id,
    unique=True,
    sqlite_where=text("state IN ('running', 'alarm')"),
    postgresql_where=text("state IN ('running', 'alarm')"),
)

tombstone = Table(
    "tombstone",
    metadata,
    Column("host", ForeignKey("host.name"), primary_key=True),
    Column("instance_id", String, primary_key=True),
    Column("power", choice(Power), nullable=False),
    Column("version", BigInteger, nullable=False),
)

token = Table(
    "token",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("role", String, nullable=False),
    Column("host", ForeignKey("host.name")),
    # Of a secret with 256 random bits, so a plain SHA-256 is enough: there is nothing to guess.
    Column("secret_hash", String(64), nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("scope", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("request_hash", String, nullable=False),
    Column("response", Document[Any](Any), nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
)
