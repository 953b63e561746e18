import { HeadwaterError } from '@headwater/protocol'
import { describeSource, type SourceUrl } from './source-url.ts'

/** Errors of sockets and name look-ups after which trying again may help. */
const UNREACHABLE = new Set([
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'EAI_FAIL',
  'ENETDOWN',
  'ENETUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
])

/** Node's names for certificates that cannot be trusted; others start with `ERR_TLS_` or `ERR_SSL_`. */
const BAD_CERTIFICATE = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

/** SQLSTATE classes and codes of a server that is starting, stopping, full or read-only: try again. */
const PASSING = new Set(['53300', '57P01', '57P02', '57P03', '57P05', '25006'])

/** SQLSTATE of an error that Postgres reported; undefined for any other error. */
export function findSqlState(error: unknown): string | undefined {
  const code = findCode(error)
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && hasSeverity(error) ? code : undefined
}

/** Turns what the driver threw into an error of the table. Errors of the table pass unchanged. */
export function toSourceError(error: unknown, source: SourceUrl): HeadwaterError {
  if (error instanceof HeadwaterError) return error
  const where = describeSource(source)
  const text = error instanceof Error ? error.message : String(error)
  const state = findSqlState(error)
  if (state !== undefined) return fromSqlState(state, text, where, source, error)

  const code = findCode(error)
  if (code !== undefined && (BAD_CERTIFICATE.has(code) || code.startsWith('ERR_TLS_') || code.startsWith('ERR_SSL_'))) {
    return new HeadwaterError(
      'source-tls-failed',
      `Cannot make a TLS connection to ${where} with sslmode=${source.sslMode}: ${text} (${code}). ` +
        'Name the authority that signed the certificate with sslrootcert=FILE, or use sslmode=require to encrypt without checking it.',
      { cause: error },
    )
  }
  const reason = code !== undefined && UNREACHABLE.has(code) ? describeNetworkCode(code) : text
  return new HeadwaterError('source-unreachable', `Cannot reach the source database ${where}: ${reason}.`, {
    cause: error,
  })
}

function fromSqlState(state: string, text: string, where: string, source: SourceUrl, cause: unknown): HeadwaterError {
  switch (state) {
    case '28P01':
      return new HeadwaterError(
        'source-auth-failed',
        `Cannot log in to ${where}: the password is wrong or the user does not exist. Correct the connection URL, ` +
          `or set it with: ALTER ROLE ${quoteIdentifier(source.user)} PASSWORD '…';`,
        { cause },
      )
    case '28000':
      return new HeadwaterError(
        'source-auth-failed',
        `Cannot log in to ${where}: ${text}. Check the user name, and that pg_hba.conf lets this host connect ` +
          `(sslmode is ${source.sslMode}).`,
        { cause },
      )
    case '3D000':
      return new HeadwaterError(
        'source-database-missing',
        `Cannot connect to ${where}: the database ${JSON.stringify(source.database)} does not exist. ` +
          `Correct the connection URL or run: CREATE DATABASE ${quoteIdentifier(source.database)};`,
        { cause },
      )
    default:
      if (PASSING.has(state) || state.startsWith('08')) {
        return new HeadwaterError('source-unreachable', `Cannot use the source database ${where} now: ${text}.`, {
          cause,
        })
      }
      return new HeadwaterError('source-failed', `Cannot go on with ${where}: Postgres says ${state}: ${text}.`, {
        cause,
      })
  }
}

export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted
}

function describeNetworkCode(code: string): string {
  switch (code) {
    case 'ECONNREFUSED':
      return 'the connection was refused; check host and port, and that the server is running (ECONNREFUSED)'
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_FAIL':
      return `the host name could not be resolved (${code})`
    case 'ENOENT':
      return 'there is no socket at this path (ENOENT)'
    default:
      return `the connection was lost (${code})`
  }
}

function findCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** Only errors that the server sent carry a severity. */
function hasSeverity(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'severity' in error && error.severity !== undefined
}
