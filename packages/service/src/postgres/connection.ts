import { HeadwaterError } from '@headwater/protocol'
import { Client, type ClientConfig } from 'pg'
import { toSourceError } from './source-error.ts'
import { describeSource, type SourceUrl, toTlsOptions } from './source-url.ts'

/** One open session. `query` rejects with errors of the table. */
export type Session = AsyncDisposable & {
  readonly client: Client
  readonly source: SourceUrl
  /**
   * Parameters are bound as text; results are text by column name, null for NULL. When no answer comes in time, the
   * session is given up: this query and all others reject with `source-unreachable`, and `lost` does.
   */
  readonly query: (
    text: string,
    parameters?: readonly (string | null)[],
    /** Instead of that of the session. */
    timeoutMs?: number,
  ) => Promise<readonly SqlRow[]>
  /** Until it is disposed of, the session is given up when the server says nothing for so long. */
  readonly expectAnswer: (timeoutMs: number) => Expectation
  /** Rejects when the session is lost, with the reason; never resolves. */
  readonly lost: Promise<never>
  /** Cuts the connection without a word. */
  readonly destroy: () => void
}

export type Expectation = Disposable & {
  /** The server said something: the time begins anew. */
  readonly heard: () => void
}

export type SqlRow = { readonly [column: string]: string | null }

export type SessionOptions = {
  readonly applicationName: string
  /** `replication`: a walsender for this database; simple queries and replication commands only. */
  readonly kind: 'sql' | 'replication'
  /** How long an answer may take before the connection counts as dead. */
  readonly queryTimeoutMs?: number | undefined
  /** How long a statement waits for a lock before it fails; default: as long as it takes. */
  readonly lockTimeoutMs?: number | undefined
}

/**
 * A network that swallows everything without a word is told from a busy server by this alone: TCP goes on for many
 * minutes. Questions to the catalog and markers take milliseconds.
 */
export const QUERY_TIMEOUT_MS = 30_000

/**
 * Text that Postgres sends depends on these, and a role or a database may override each default.
 * Both kinds of session set them, so that a row reads the same from COPY and from the log.
 */
const SESSION_SETTINGS = [
  "SET client_encoding = 'UTF8'",
  "SET DateStyle = 'ISO, MDY'",
  "SET IntervalStyle = 'postgres'",
  "SET TimeZone = 'UTC'",
  'SET extra_float_digits = 1',
  "SET bytea_output = 'hex'",
  "SET xmlbinary = 'base64'",
  'SET statement_timeout = 0',
  'SET idle_in_transaction_session_timeout = 0',
  "SELECT pg_catalog.set_config('search_path', 'pg_catalog', false)",
].join('; ')

/** These exist from version 14 and 17 on. */
const NEWER_SETTINGS = ['idle_session_timeout', 'transaction_timeout']

const TCP_KEEPALIVE_MS = 40_000

/** How long the server may take to say goodbye. */
const CLOSE_MS = 2_000

const TEXT_AS_IT_IS = { getTypeParser: () => (text: string) => text }

/** Opens a session with the fixed settings. Throws `source-…` errors that name the remedy. */
export async function openSession(source: SourceUrl, options: SessionOptions): Promise<Session> {
  const tls = toTlsOptions(source)
  let client: Client
  try {
    client = await connect(source, options, tls)
  } catch (error) {
    const mayGoOnWithoutTls = source.sslMode === 'prefer' && error instanceof TlsRefused
    if (!mayGoOnWithoutTls) throw translate(error, source)
    client = await connect(source, options, undefined).catch((second: unknown) => {
      throw translate(second, source)
    })
  }
  const session = toSession(client, source, options.queryTimeoutMs ?? QUERY_TIMEOUT_MS)
  try {
    await session.query(`${SESSION_SETTINGS}; SET lock_timeout = ${options.lockTimeoutMs ?? 0}`)
    await clearNewerTimeouts(session)
  } catch (error) {
    session.destroy()
    throw error
  }
  return session
}

/** The server said that it has no TLS. */
class TlsRefused extends Error {}

/** There is no password to send and the server wants one. */
class PasswordMissing extends Error {}

async function connect(
  source: SourceUrl,
  options: SessionOptions,
  tls: ReturnType<typeof toTlsOptions>,
): Promise<Client> {
  const config: ClientConfig & { readonly replication?: string } = {
    host: source.host,
    port: source.port,
    user: source.user,
    password: source.password,
    database: source.database,
    ssl: tls ?? false,
    application_name: options.applicationName,
    connectionTimeoutMillis: source.connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: TCP_KEEPALIVE_MS,
    enableChannelBinding: tls !== undefined,
    types: TEXT_AS_IT_IS,
    ...(options.kind === 'replication' ? { replication: 'database' } : {}),
  }
  const client = new Client(config)
  let wasConnected = false
  let wasTlsAccepted = false
  let wasPasswordAsked = false
  client.connection.once('connect', () => (wasConnected = true))
  client.connection.once('sslconnect', () => (wasTlsAccepted = true))
  client.connection.once('authenticationSASL', () => (wasPasswordAsked = true))
  client.connection.once('authenticationMD5Password', () => (wasPasswordAsked = true))
  try {
    await client.connect()
    return client
  } catch (error) {
    client.connection.stream.destroy()
    const isNameless = error instanceof Error && !('code' in error && error.code !== undefined)
    if (isNameless && wasPasswordAsked && source.password === '') throw new PasswordMissing('', { cause: error })
    if (isNameless && tls !== undefined && !wasTlsAccepted && wasConnected) {
      throw new TlsRefused('', { cause: error })
    }
    throw error
  }
}

function translate(error: unknown, source: SourceUrl): HeadwaterError {
  if (error instanceof PasswordMissing) {
    return new HeadwaterError(
      'source-auth-failed',
      `Cannot log in to ${describeSource(source)}: the server wants a password and the connection URL has none. ` +
        'Add it to the URL or set PGPASSWORD.',
      { cause: error.cause },
    )
  }
  if (error instanceof TlsRefused) {
    return new HeadwaterError(
      'source-tls-failed',
      `Cannot make a TLS connection to ${describeSource(source)}: the server has TLS switched off and sslmode is ` +
        `${source.sslMode}. Run ALTER SYSTEM SET ssl = on; with a certificate in place, or use sslmode=prefer.`,
      { cause: error.cause },
    )
  }
  return toSourceError(error, source)
}

function toSession(client: Client, source: SourceUrl, queryTimeoutMs: number): Session {
  const { promise: lost, reject } = Promise.withResolvers<never>()
  // Whoever waits sees the loss; nobody has to.
  lost.catch(() => undefined)
  let isClosing = false
  let silence: HeadwaterError | undefined
  const giveUp = (timeoutMs: number): void => {
    silence ??= new HeadwaterError(
      'source-unreachable',
      `Cannot use the source database ${describeSource(source)} now: it did not answer a query within ` +
        `${timeoutMs / 1000} s, so the connection is given up and opened again.`,
    )
    reject(silence)
    client.connection.stream.destroy()
  }
  const expectAnswer = (timeoutMs: number): Expectation => {
    const timer = setTimeout(giveUp, timeoutMs, timeoutMs)
    return { heard: () => void timer.refresh(), [Symbol.dispose]: () => clearTimeout(timer) }
  }
  client.on('error', (error) => reject(toSourceError(error, source)))
  client.on('end', () => {
    if (!isClosing) reject(toSourceError(new Error('the connection was closed by the server'), source))
  })
  return {
    client,
    source,
    lost,
    query: async (text, parameters, timeoutMs = queryTimeoutMs) => {
      using _ = expectAnswer(timeoutMs)
      try {
        const result = await (parameters === undefined
          ? client.query<SqlRow>(text)
          : client.query<SqlRow>(text, [...parameters]))
        // Several statements in one text answer with one result each; nobody needs those.
        return Array.isArray(result) ? [] : result.rows
      } catch (error) {
        throw silence ?? toSourceError(error, source)
      }
    },
    expectAnswer,
    destroy: () => {
      isClosing = true
      client.connection.stream.destroy()
    },
    [Symbol.asyncDispose]: async () => {
      isClosing = true
      // A server that does not answer any more would keep us until TCP gives up, which takes many minutes.
      const timer = setTimeout(() => client.connection.stream.destroy(), CLOSE_MS)
      await client.end().catch(() => undefined)
      clearTimeout(timer)
    },
  }
}

async function clearNewerTimeouts(session: Session): Promise<void> {
  const rows = await session.query(
    `SELECT name FROM pg_catalog.pg_settings WHERE name IN (${NEWER_SETTINGS.map((name) => `'${name}'`).join(', ')})`,
  )
  for (const { name } of rows) await session.query(`SET ${name} = 0`)
}
