import { createContext, useContext } from 'react'
import type { HeadwaterDatabase } from '../database.ts'

/** Gives the hooks below it their database: `<DatabaseContext value={database}>`. */
export const DatabaseContext = createContext<HeadwaterDatabase | null>(null)

export function useDatabase(): HeadwaterDatabase {
  const database = useContext(DatabaseContext)
  if (database === null) throw notConfigured()
  return database
}

/** The words are those that apps written for PowerSync look for. */
export function notConfigured(): Error {
  return new Error('PowerSync not configured. Put <DatabaseContext value={database}> above this component.')
}
