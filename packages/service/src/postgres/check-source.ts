import { HeadwaterError } from '@headwater/protocol'
import type { SourceTable, TablePattern } from '@headwater/sync-config'
import { type CatalogTable, readCatalogTables, toSourceTable } from './catalog.ts'
import { openSession, type Session } from './connection.ts'
import { addTablesSql, createPublicationSql, findPublication } from './publication.ts'
import { readServerState } from './server.ts'
import { findSlot, type SlotState } from './slot.ts'
import { findSqlState, toSourceError } from './source-error.ts'
import {
  findSourceProblems,
  findUnpublished,
  isReplicable,
  type SourceFacts,
  type SourceProblem,
} from './source-problems.ts'
import { parseSourceUrl, type SourceUrl } from './source-url.ts'
import { createTypeCatalog } from './type-catalog.ts'

export type CheckOptions = {
  readonly publication: string
  readonly slot: string
  /** Tables that the sync config reads. */
  readonly tables: readonly TablePattern[]
}

export type SourceReport = {
  readonly problems: readonly SourceProblem[]
  /** Tables that the patterns name and that can be replicated, for checking the columns of a plan. */
  readonly tables: readonly SourceTable[]
  /** server_version_num; 0 when the server could not be reached. */
  readonly serverVersion: number
  readonly slot: SlotState | undefined
}

/**
 * Looks at everything that replication needs, without changing anything. A server that cannot be reached or refuses
 * the login is a problem like others; its remedy is in the message. Throws `bad-source-url`.
 */
export async function checkSource(url: string, options: CheckOptions): Promise<SourceReport> {
  const source = parseSourceUrl(url, process.env)
  try {
    await using session = await openSession(source, { applicationName: 'headwater check', kind: 'sql' })
    const facts = await readSourceFacts(session, options)
    const types = createTypeCatalog()
    const tables = facts.tables.filter(isReplicable)
    await types.load(
      session,
      tables.flatMap(({ columns }) => columns.map(({ typeOid }) => typeOid)),
    )
    return {
      problems: findSourceProblems(facts),
      tables: tables.map((table) => toSourceTable(table, types)),
      serverVersion: facts.server.version,
      slot: facts.slot,
    }
  } catch (cause) {
    const { message, code } = toSourceError(cause, source)
    return {
      problems: [{ severity: 'error', message, remedy: remedyOf(code, source) }],
      tables: [],
      serverVersion: 0,
      slot: undefined,
    }
  }
}

export async function readSourceFacts(session: Session, options: CheckOptions): Promise<SourceFacts> {
  const server = await readServerState(session)
  return {
    server,
    slotName: options.slot,
    slot: await findSlot(session, options.slot),
    publicationName: options.publication,
    publication: await findPublication(session, options.publication),
    patterns: options.tables,
    tables: await readCatalogTables(session, options.tables, options.publication, server.version),
  }
}

/** What was changed of the publication. */
export type Arranged = {
  readonly isCreated: boolean
  readonly added: readonly CatalogTable[]
  /** Not added yet: somebody else has locked one of them. To be tried again. */
  readonly blocked: readonly CatalogTable[]
}

/** How long adding tables waits for the locks of others (VACUUM, CREATE INDEX): the session has more to do. */
const PUBLICATION_LOCK_MS = 5_000

/** SQLSTATE of a statement that waited too long for a lock. */
const LOCK_NOT_AVAILABLE = '55P03'

/** Runs the remedies that need nobody: makes the publication, or adds tables to it. */
export async function arrangePublication(session: Session, facts: SourceFacts): Promise<Arranged> {
  const { publication, publicationName } = facts
  const unpublished = findUnpublished(facts)
  const patience = `SET LOCAL lock_timeout = ${PUBLICATION_LOCK_MS}`
  if (publication === undefined) {
    await session.query(`${patience}; ${createPublicationSql(publicationName, unpublished)}`)
    return { isCreated: true, added: unpublished, blocked: [] }
  }
  const added = publication.isOwner ? unpublished.filter(({ isOwner }) => isOwner) : []
  if (added.length === 0) return { isCreated: false, added, blocked: [] }
  try {
    await session.query(`${patience}; ${addTablesSql(publicationName, added)}`)
    return { isCreated: false, added, blocked: [] }
  } catch (error) {
    const state = error instanceof HeadwaterError ? findSqlState(error.cause) : undefined
    if (state !== LOCK_NOT_AVAILABLE) throw error
    return { isCreated: false, added: [], blocked: added }
  }
}

/** One error for everything that an operator must do before replication can start; undefined when nothing. */
export function toSetUpError(problems: readonly SourceProblem[]): HeadwaterError | undefined {
  const errors = problems.filter(({ severity }) => severity === 'error')
  if (errors.length === 0) return undefined
  const lines = errors.map(({ message, remedy }) => `  - ${message}\n    ${remedy}`)
  return new HeadwaterError(
    'source-not-ready',
    `Cannot replicate from this database until it is set up for it:\n${lines.join('\n')}`,
  )
}

function remedyOf(code: string, source: SourceUrl): string {
  switch (code) {
    case 'source-auth-failed':
      return 'Correct the user or the password in the connection URL.'
    case 'source-database-missing':
      return `CREATE DATABASE ${JSON.stringify(source.database)};`
    case 'source-tls-failed':
      return 'Change sslmode or sslrootcert in the connection URL.'
    default:
      return 'Check host and port of the connection URL, and that the server is running.'
  }
}
