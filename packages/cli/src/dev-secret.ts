import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The audience of tokens for development. */
export const DEV_AUDIENCE = 'headwater-dev'

/** The secret that signs tokens for development; one for each data directory, made at the first use. */
export async function ensureDevSecret(dataDir: string): Promise<string> {
  const known = await findDevSecret(dataDir)
  if (known !== undefined) return known
  await mkdir(dataDir, { recursive: true })
  const secret = randomBytes(32).toString('base64url')
  // Exclusive: of two that start together, one writes and the other reads it.
  await writeFile(secretPath(dataDir), secret, { mode: 0o600, flag: 'wx' }).catch(() => {})
  return readFile(secretPath(dataDir), 'utf8')
}

export async function findDevSecret(dataDir: string): Promise<string | undefined> {
  return readFile(secretPath(dataDir), 'utf8').catch(() => undefined)
}

export function secretPath(dataDir: string): string {
  return join(dataDir, 'dev-secret')
}
