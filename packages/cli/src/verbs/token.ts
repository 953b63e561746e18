import type { JsonObject } from '@headwater/protocol'
import { HeadwaterError } from '@headwater/protocol'

import { findDevSecret, secretPath } from '../dev-secret.ts'

export type TokenFlags = {
  readonly user: string
  readonly secret?: string
  readonly audience: string
  readonly ttl: number
  readonly claims?: string
  readonly dataDir: string
}

/** Prints a token, and nothing else, so that it can be used as `$(headwater token --user ann)`. */
export async function runToken(flags: TokenFlags): Promise<void> {
  const { issueToken } = await import('@headwater/backend')
  const token = await issueToken({
    secret: await chooseSecret(flags),
    userId: flags.user,
    audience: flags.audience,
    ttlSeconds: flags.ttl,
    claims: readClaims(flags.claims),
  })
  console.log(token)
}

async function chooseSecret(flags: TokenFlags): Promise<string> {
  const secret = flags.secret ?? process.env['HEADWATER_JWT_SECRET'] ?? (await findDevSecret(flags.dataDir))
  if (secret !== undefined && secret !== '') return secret
  throw new HeadwaterError(
    'bad-settings',
    `Cannot issue a token: there is no secret. Start headwater dev once, which makes ${secretPath(flags.dataDir)}, or give --secret.`,
  )
}

function readClaims(text: string | undefined): JsonObject {
  if (text === undefined) return {}
  try {
    const claims: unknown = JSON.parse(text)
    if (typeof claims === 'object' && claims !== null && !Array.isArray(claims)) return claims as JsonObject
  } catch {
    // Said below.
  }
  throw new HeadwaterError(
    'bad-settings',
    `Cannot read --claims: expected a JSON object as {"role":"editor"}, got ${text}`,
  )
}
