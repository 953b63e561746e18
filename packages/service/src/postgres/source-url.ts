import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'
import { HeadwaterError } from '@headwater/protocol'

/** libpq's names. `allow` is read as `prefer`. */
export type SslMode = 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'

/** A connection URL, read. Paths of certificates are already replaced by what the files hold. */
export type SourceUrl = {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  readonly sslMode: SslMode
  /** Undefined: the authorities that Node trusts. PEM. */
  readonly authority: string | undefined
  readonly clientCertificate: string | undefined
  readonly clientKey: string | undefined
  readonly connectTimeoutMs: number
}

const CONNECT_TIMEOUT_MS = 20_000

const SSL_MODES: { readonly [name: string]: SslMode } = {
  disable: 'disable',
  allow: 'prefer',
  prefer: 'prefer',
  require: 'require',
  'verify-ca': 'verify-ca',
  'verify-full': 'verify-full',
}

/** Environment variables that libpq looks at too; only the password is worth keeping out of a URL. */
export type SourceEnvironment = { readonly PGPASSWORD?: string | undefined }

/**
 * Reads `postgres://user:password@host:port/database?sslmode=…&sslrootcert=…&sslcert=…&sslkey=…&connect_timeout=…`.
 * Other parameters are ignored, as drivers do. A path as `host` parameter means a Unix socket.
 * Without `sslmode`: `prefer`, or `verify-full` where `sslrootcert` is given. Throws `bad-source-url`.
 */
export function parseSourceUrl(text: string, environment: SourceEnvironment = {}): SourceUrl {
  const url = readUrl(text)
  const host = url.searchParams.get('host') ?? decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1')
  const user = decodeURIComponent(url.username)
  const database = decodeURIComponent(url.pathname.slice(1))
  if (host === '') throw badUrl(text, 'the host is missing')
  if (user === '') throw badUrl(text, 'the user is missing')
  if (database === '') throw badUrl(text, 'the database is missing')
  const password = decodeURIComponent(url.password)
  return {
    host,
    port: url.port === '' ? 5432 : Number(url.port),
    user,
    password: password === '' ? (environment.PGPASSWORD ?? '') : password,
    database,
    sslMode: readSslMode(text, url.searchParams),
    authority: readCertificate(text, url.searchParams, 'sslrootcert'),
    clientCertificate: readCertificate(text, url.searchParams, 'sslcert'),
    clientKey: readCertificate(text, url.searchParams, 'sslkey'),
    connectTimeoutMs: readConnectTimeout(text, url.searchParams),
  }
}

/** `user@host:port/database`: what may stand in a log or a message. */
export function describeSource(source: SourceUrl): string {
  return `${source.user}@${source.host}:${source.port}/${source.database}`
}

/** What Node needs for the TLS mode; undefined where no TLS is wanted. */
export function toTlsOptions(source: SourceUrl): ConnectionOptions | undefined {
  if (source.sslMode === 'disable' || source.host.startsWith('/')) return undefined
  const isChecked = source.sslMode === 'verify-ca' || source.sslMode === 'verify-full'
  return {
    rejectUnauthorized: isChecked,
    ...(source.authority === undefined ? {} : { ca: source.authority }),
    ...(source.clientCertificate === undefined ? {} : { cert: source.clientCertificate }),
    ...(source.clientKey === undefined ? {} : { key: source.clientKey }),
    ...(source.sslMode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
  }
}

function readUrl(text: string): URL {
  const url = URL.parse(text)
  if (url === null) throw badUrl(text, 'it is not a URL (special characters in the password must be percent-encoded)')
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') {
    throw badUrl(text, `it starts with "${url.protocol}//", not with "postgres://"`)
  }
  return url
}

function readSslMode(text: string, parameters: URLSearchParams): SslMode {
  const name = parameters.get('sslmode')
  if (name === null) return parameters.has('sslrootcert') ? 'verify-full' : 'prefer'
  const mode = SSL_MODES[name]
  if (mode === undefined) {
    throw badUrl(text, `sslmode is "${name}", not one of ${Object.keys(SSL_MODES).join(', ')}`)
  }
  return mode
}

function readCertificate(text: string, parameters: URLSearchParams, name: string): string | undefined {
  const path = parameters.get(name)
  if (path === null || path === '' || path === 'system') return undefined
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw badUrl(text, `the file "${path}" named by ${name} cannot be read`, cause)
  }
}

function readConnectTimeout(text: string, parameters: URLSearchParams): number {
  const seconds = parameters.get('connect_timeout')
  if (seconds === null) return CONNECT_TIMEOUT_MS
  if (!/^\d{1,6}$/.test(seconds)) throw badUrl(text, `connect_timeout is "${seconds}", not a number of seconds`)
  return seconds === '0' ? CONNECT_TIMEOUT_MS : Number(seconds) * 1000
}

function badUrl(text: string, reason: string, cause?: unknown): HeadwaterError {
  return new HeadwaterError('bad-source-url', `Cannot read the connection URL ${hidePassword(text)}: ${reason}.`, {
    cause,
  })
}

function hidePassword(text: string): string {
  return JSON.stringify(text.replace(/(:\/\/[^:/@]*:)[^@]*@/, '$1***@').replace(/([?&]password=)[^&]*/, '$1***'))
}
