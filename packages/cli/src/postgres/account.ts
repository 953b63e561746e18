import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

import { HeadwaterError } from '@headwater/protocol'

/** The user a child process runs as. Undefined: the user we are. */
export type Account = { readonly uid: number; readonly gid: number } | undefined

/**
 * Postgres refuses to run as root. As root we give it to whoever owns the cluster already, or else to `nobody`,
 * which every Unix has: a user id without an entry in passwd does not do.
 */
export async function chooseAccount(dataDir: string | undefined): Promise<Account> {
  if (process.getuid === undefined) {
    throw new HeadwaterError(
      'embedded-postgres-failed',
      'Cannot start the embedded Postgres on Windows: it needs Linux or macOS. Start it inside WSL, or name a database of your own with --database-url.',
    )
  }
  if (process.getuid() !== 0) return undefined
  const owner = dataDir === undefined ? undefined : await findOwner(join(dataDir, 'PG_VERSION'))
  return owner ?? { uid: await readId('-u'), gid: await readId('-g') }
}

/** Can `account` open what lies under `directory`? A parent closed to others (as /root is) hides everything below it. */
export async function isReachable(directory: string, account: Account): Promise<boolean> {
  if (account === undefined) return true
  for (let at = dirname(directory); ; at = dirname(at)) {
    const { mode, uid } = await stat(at)
    const searchBit = uid === account.uid ? constants.S_IXUSR : constants.S_IXOTH
    if ((mode & searchBit) === 0) return false
    if (at === dirname(at)) return true
  }
}

async function findOwner(path: string): Promise<Account> {
  try {
    await access(path)
  } catch {
    return undefined
  }
  const { uid, gid } = await stat(path)
  return uid === 0 ? undefined : { uid, gid }
}

async function readId(option: '-u' | '-g'): Promise<number> {
  const { stdout } = await promisify(execFile)('id', [option, 'nobody'])
  return Number(stdout.trim())
}
