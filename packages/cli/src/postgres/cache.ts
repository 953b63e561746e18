import { randomBytes } from 'node:crypto'
import { lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'

/**
 * Directories that are slow to make and never change, in one place per user:
 *
 *     <tmp>/headwater-<user id>/
 *       <name>/tree/           what was built
 *       <name>/sealed.json     how many files and bytes it has
 *       <name>.building-<pid>-<random>/
 *
 * A directory appears under its name in one rename, complete. Cleaners of temporary directories remove single old
 * files, so a tree is counted before it is trusted; one that lost something is built again.
 */
export async function cachedTree(name: string, build: (tree: string) => Promise<void>): Promise<string> {
  const root = await openCacheRoot()
  const entry = join(root, name)
  if (await isIntact(entry)) return join(entry, 'tree')
  await sweepUnfinished(entry)
  const building = unfinishedName(entry)
  try {
    const tree = join(building, 'tree')
    await mkdir(tree, { recursive: true, mode: 0o755 })
    await build(tree)
    await writeFile(join(building, 'sealed.json'), JSON.stringify(await measure(tree)))
    await moveInto(building, entry)
  } finally {
    await rm(building, { recursive: true, force: true })
  }
  return join(entry, 'tree')
}

/** A name beside `path` for making it, that tells which process is at it. */
export function unfinishedName(path: string): string {
  return `${path}.building-${process.pid}-${randomBytes(4).toString('hex')}`
}

/** A killed process leaves its initdb behind, which goes on writing for a moment: 4 s of tries in all. */
const ORPHANS_WRITE = { maxRetries: 20, retryDelay: 20 }

/** Removes what processes that are gone left half made beside `path`. */
export async function sweepUnfinished(path: string): Promise<void> {
  const prefix = `${basename(path)}.building-`
  for (const name of await readdir(dirname(path))) {
    if (!name.startsWith(prefix)) continue
    const pid = Number(name.slice(prefix.length).split('-')[0])
    if (!isAlive(pid)) await rm(join(dirname(path), name), { recursive: true, force: true, ...ORPHANS_WRITE })
  }
}

/** True while a process has this id; also one that we may not signal. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** Ours alone to write; else somebody could have us run their programs. Then a directory for this run has to do. */
async function openCacheRoot(): Promise<string> {
  const root = join(tmpdir(), `headwater-${process.getuid?.() ?? 'user'}`)
  await mkdir(root, { recursive: true, mode: 0o755 })
  const { mode, uid } = await lstat(root)
  const isPrivate = uid === process.getuid?.() && (mode & 0o170_022) === 0o040_000
  return isPrivate ? root : mkdtemp(`${root}-`)
}

/** Does nothing when another process was first. */
async function moveInto(building: string, entry: string): Promise<void> {
  try {
    await rename(building, entry)
  } catch {
    if (await isIntact(entry)) return
    const damaged = unfinishedName(entry)
    await rename(entry, damaged)
    await rm(damaged, { recursive: true, force: true })
    await rename(building, entry)
  }
}

async function isIntact(entry: string): Promise<boolean> {
  try {
    const sealed = await readFile(join(entry, 'sealed.json'), 'utf8')
    return sealed === JSON.stringify(await measure(join(entry, 'tree')))
  } catch {
    return false
  }
}

async function measure(tree: string): Promise<{ files: number; bytes: number }> {
  const entries = await readdir(tree, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const sizes = await Promise.all(files.map(async (file) => (await lstat(join(file.parentPath, file.name))).size))
  return { files: files.length, bytes: sizes.reduce((sum, size) => sum + size, 0) }
}
