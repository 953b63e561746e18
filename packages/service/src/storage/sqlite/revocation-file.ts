import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Revocation } from '../../auth/revocation.ts'
import type { RevocationStorage } from '../storage.ts'
import { transact } from './connection.ts'
import { translateStorageError } from './storage-error.ts'

/** A client or token id that is not named is the empty text: NULL would be another key each time. */
const LAYOUT = `
  CREATE TABLE IF NOT EXISTS revocation (
    user TEXT NOT NULL,
    client TEXT NOT NULL,
    token TEXT NOT NULL,
    issued_before_ms INTEGER NOT NULL,
    PRIMARY KEY (user, client, token)
  ) WITHOUT ROWID`
const READ = 'SELECT user, client, token, issued_before_ms FROM revocation'
const PUT = 'INSERT OR REPLACE INTO revocation (user, client, token, issued_before_ms) VALUES (?, ?, ?, ?)'
const DROP = 'DELETE FROM revocation WHERE user = ? AND client = ? AND token = ?'

/**
 * Revoked tokens, in a file of their own beside the generations: they outlive each of those, and are durable at once
 * even while a large transaction is being stored in slices.
 */
export function openRevocationFile(directory: string): RevocationStorage & Disposable {
  const database = new DatabaseSync(join(directory, 'revocations.sqlite'))
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; ${LAYOUT}`)
  const [read, put, drop] = [database.prepare(READ), database.prepare(PUT), database.prepare(DROP)]
  return {
    readRevocations: async () =>
      read.all().map((row) => ({
        userId: String(row['user']),
        clientId: textOf(row['client']),
        tokenId: textOf(row['token']),
        issuedBeforeMs: Number(row['issued_before_ms']),
      })),
    writeRevocations: async (change) => {
      try {
        transact(database, () => {
          for (const revocation of change.put) put.run(...keyOf(revocation), Math.round(revocation.issuedBeforeMs))
          for (const revocation of change.drop) drop.run(...keyOf(revocation))
        })
      } catch (error) {
        throw translateStorageError(error, 'store revoked tokens')
      }
    },
    [Symbol.dispose]: () => {
      database.close()
    },
  }
}

function keyOf({ userId, clientId = '', tokenId = '' }: Revocation): [user: string, client: string, token: string] {
  return [userId, clientId, tokenId]
}

function textOf(stored: unknown): string | undefined {
  return stored === '' ? undefined : String(stored)
}
