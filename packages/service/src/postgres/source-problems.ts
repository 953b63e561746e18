import type { TablePattern } from '@headwater/sync-config'
import type { CatalogTable } from './catalog.ts'
import {
  addTablesSql,
  createPublicationSql,
  type PublicationState,
  publishEverythingSql,
  quoteTable,
} from './publication.ts'
import { SERVER_VERSION_MIN, type ServerState } from './server.ts'
import type { SlotState } from './slot.ts'
import { quoteIdentifier } from './source-error.ts'

/** One thing that keeps the source from being replicated, or will surprise. */
export type SourceProblem = {
  /** `automatic`: Headwater runs the remedy by itself when it starts, for the role may. */
  readonly severity: 'error' | 'warning' | 'automatic'
  /** `schema.name` of the table that it is of; undefined: of the whole set-up. */
  readonly table?: string
  readonly message: string
  /** SQL to run or a setting to change, word for word. */
  readonly remedy: string
}

export type SourceFacts = {
  readonly server: ServerState
  readonly slotName: string
  readonly slot: SlotState | undefined
  readonly publicationName: string
  readonly publication: PublicationState | undefined
  /** Tables that the plan reads. */
  readonly patterns: readonly TablePattern[]
  /** What the patterns name. */
  readonly tables: readonly CatalogTable[]
}

/** Every problem of the set-up, so that it can be put right in one go. */
export function findSourceProblems(facts: SourceFacts): readonly SourceProblem[] {
  return [
    ...findServerProblems(facts),
    ...findRoleProblems(facts),
    ...findPublicationProblems(facts),
    ...facts.patterns.flatMap((pattern) => findMissingTable(pattern, facts.tables)),
    ...facts.tables.flatMap((table) => findTableProblems(table, facts).map((problem) => ofTable(problem, table))),
  ]
}

function findServerProblems({ server, slot, slotName }: SourceFacts): readonly SourceProblem[] {
  const problems: SourceProblem[] = []
  if (server.version < SERVER_VERSION_MIN) {
    problems.push(
      error(
        `PostgreSQL ${Math.floor(server.version / 10_000)} is too old`,
        'Upgrade the server to PostgreSQL 14 or later.',
      ),
    )
  }
  if (server.isStandby) {
    problems.push(error('this server is a standby', 'Use the address of the primary server in the connection URL.'))
  }
  if (server.walLevel !== 'logical') {
    problems.push(
      error(
        `wal_level is "${server.walLevel}", not "logical"`,
        "ALTER SYSTEM SET wal_level = 'logical'; and then restart Postgres (on a hosted database, switch on logical replication in its settings)",
      ),
    )
  }
  if (slot === undefined && server.slotsUsed >= server.slotsMax) {
    problems.push(
      error(
        `all ${server.slotsMax} replication slots are in use`,
        `ALTER SYSTEM SET max_replication_slots = ${server.slotsMax + 10}; and then restart Postgres, or drop a slot that nobody needs: SELECT pg_drop_replication_slot('…');`,
      ),
    )
  }
  if (slot?.activePid === undefined && server.sendersUsed >= server.sendersMax) {
    problems.push(
      error(
        `all ${server.sendersMax} WAL senders are in use`,
        `ALTER SYSTEM SET max_wal_senders = ${server.sendersMax + 10}; and then restart Postgres`,
      ),
    )
  }
  if (slot !== undefined && slot.plugin !== 'pgoutput') {
    problems.push(
      error(
        `the replication slot "${slotName}" belongs to something else (plugin ${slot.plugin})`,
        'Give the service another slot name.',
      ),
    )
  }
  return problems
}

function findRoleProblems({ server: { role, version } }: SourceFacts): readonly SourceProblem[] {
  const name = quoteIdentifier(role.name)
  const problems: SourceProblem[] = []
  if (!role.mayReplicate) {
    problems.push(error(`the role ${name} may not replicate`, `ALTER ROLE ${name} REPLICATION;`))
  }
  if (!role.mayEmitMessages) {
    problems.push(
      error(
        `the role ${name} may not write logical messages`,
        `GRANT EXECUTE ON FUNCTION pg_logical_emit_message(${version < 170_000 ? 'boolean, text, text' : 'boolean, text, text, boolean'}) TO ${name};`,
      ),
    )
  }
  return problems
}

function findPublicationProblems(facts: SourceFacts): readonly SourceProblem[] {
  const { publication, publicationName: name, server } = facts
  if (publication === undefined) {
    const tables = findUnpublished(facts)
    const isAutomatic = server.role.mayCreateInDatabase && tables.every(({ isOwner }) => isOwner)
    return [
      {
        severity: isAutomatic ? 'automatic' : 'error',
        message: `the publication "${name}" does not exist`,
        remedy: createPublicationSql(name, tables),
      },
    ]
  }
  const problems: SourceProblem[] = []
  if (publication.leftOut.length > 0) {
    problems.push(
      error(`the publication "${name}" leaves out ${publication.leftOut.join(', ')}`, publishEverythingSql(name)),
    )
  }
  for (const table of findUnpublished(facts)) {
    problems.push({
      severity: table.isOwner && publication.isOwner ? 'automatic' : 'error',
      table: `${table.schema}.${table.name}`,
      message: `the table ${quoteTable(table)} is not in the publication "${name}"`,
      remedy: addTablesSql(name, [table]),
    })
  }
  return problems
}

/** Its rows are published, but as those of its root or of its partitions; that is a problem of its own. */
function isUnderOtherName(table: CatalogTable, publication: PublicationState): boolean {
  return publication.isViaRoot ? table.isPartition : table.kind === 'p'
}

function findMissingTable(pattern: TablePattern, tables: readonly CatalogTable[]): readonly SourceProblem[] {
  if (pattern.isWildcard) return []
  if (tables.some(({ schema, name }) => schema === pattern.schema && name === pattern.name)) return []
  return [
    {
      severity: 'warning',
      message: `the table ${quoteTable(pattern)} does not exist`,
      remedy: 'Create the table, or correct its name in the sync config. It is copied as soon as it exists.',
    },
  ]
}

function findTableProblems(table: CatalogTable, facts: SourceFacts): readonly SourceProblem[] {
  const role = quoteIdentifier(facts.server.role.name)
  const name = quoteTable(table)
  const kindProblem = findKindProblem(table, facts)
  if (kindProblem !== undefined) return [kindProblem]
  const problems: SourceProblem[] = []
  if (!table.mayUseSchema) {
    problems.push(
      error(
        `the role ${role} may not use the schema of ${name}`,
        `GRANT USAGE ON SCHEMA ${quoteIdentifier(table.schema)} TO ${role};`,
      ),
    )
  }
  if (!table.maySelect) {
    problems.push(error(`the role ${role} may not read ${name}`, `GRANT SELECT ON ${name} TO ${role};`))
  }
  if (table.isHiddenByRowSecurity) {
    problems.push(
      error(
        `row level security would hide rows of ${name} from the role ${role} while copying, but not while streaming`,
        `ALTER ROLE ${role} BYPASSRLS;`,
      ),
    )
  }
  const isKeyless = table.identity !== 'full' && table.columns.every(({ isKey }) => !isKey)
  if (isKeyless) {
    problems.push({
      severity: 'warning',
      message: `${name} has no replica identity, so Postgres refuses UPDATE and DELETE on it while it is published`,
      remedy:
        table.primaryKey.length > 0
          ? `ALTER TABLE ${name} REPLICA IDENTITY DEFAULT;`
          : `ALTER TABLE ${name} ADD PRIMARY KEY (…); or ALTER TABLE ${name} REPLICA IDENTITY FULL;`,
    })
  }
  return problems
}

const KIND_NAMES: { readonly [kind: string]: string } = { v: 'a view', m: 'a materialized view', f: 'a foreign table' }

function findKindProblem(
  table: CatalogTable,
  { publication, publicationName }: SourceFacts,
): SourceProblem | undefined {
  const name = quoteTable(table)
  const kind = KIND_NAMES[table.kind]
  if (kind !== undefined) {
    return error(
      `${name} is ${kind}, whose changes are not in the log`,
      'Name the tables that it reads from in the sync config.',
    )
  }
  if (table.persistence !== 'permanent') {
    return error(
      `${name} is ${table.persistence}, so its changes are not in the log`,
      `ALTER TABLE ${name} SET LOGGED;`,
    )
  }
  if (table.kind === 'p' && publication !== undefined && !publication.isViaRoot) {
    return error(
      `${name} is partitioned and the publication sends its partitions under their own names`,
      `ALTER PUBLICATION ${quoteIdentifier(publicationName)} SET (publish_via_partition_root = true);`,
    )
  }
  if (table.isPartition && publication?.isViaRoot === true) {
    return error(
      `${name} is a partition and the publication sends its rows under the name of the partitioned table`,
      'Name the partitioned table in the sync config instead.',
    )
  }
  return undefined
}

/** Tables that the remedy for a publication adds to it. */
export function findUnpublished(facts: SourceFacts): readonly CatalogTable[] {
  const { publication } = facts
  const tables = facts.tables.filter(isReplicable)
  if (publication === undefined) return tables
  return tables.filter((table) => !table.isPublished && !isUnderOtherName(table, publication))
}

/** Ordinary and partitioned tables whose changes are in the log. */
export function isReplicable(table: CatalogTable): boolean {
  return (table.kind === 'r' || table.kind === 'p') && table.persistence === 'permanent'
}

function ofTable(problem: SourceProblem, { schema, name }: CatalogTable): SourceProblem {
  return { ...problem, table: `${schema}.${name}` }
}

function error(message: string, remedy: string): SourceProblem {
  return { severity: 'error', message, remedy }
}
