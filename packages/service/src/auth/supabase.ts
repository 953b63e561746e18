import type { ClaimRules } from './claims.ts'
import { keyOfSecret, type VerifyKey } from './keys.ts'

/** What Supabase puts into the tokens of its users: one audience, and up to a week and twenty minutes of life. */
export const SUPABASE_RULES: ClaimRules = { audience: ['authenticated'], lifetimeMaxSeconds: 606_000 }

/** The shared secret of older projects. */
export function keyOfSupabaseSecret(secret: string): VerifyKey {
  return { ...keyOfSecret(secret), rules: SUPABASE_RULES }
}

/** Where the keys of the project are whose database has this URL; undefined for any other database. */
export function supabaseJwksUrl(databaseUrl: string): string | undefined {
  const host = URL.parse(databaseUrl)?.hostname ?? ''
  const project = /^db\.([a-z0-9-]+)\.supabase\.(?:co|net)$/i.exec(host)?.[1]
  return project === undefined ? undefined : `https://${project}.supabase.co/auth/v1/.well-known/jwks.json`
}
