import type { ServiceSettings } from '../config/options.ts'
import { SUPABASE_RULES } from './supabase.ts'

/** The longest life of any token that is accepted. */
export function longestLifeSeconds(auth: ServiceSettings['auth']): number {
  const hasSupabase = auth.supabase || auth.supabaseJwtSecret !== undefined
  return Math.max(auth.lifetimeMaxSeconds, hasSupabase ? SUPABASE_RULES.lifetimeMaxSeconds : 0)
}
