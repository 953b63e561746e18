import { execFile } from 'node:child_process'
import { cp, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** What a published service consists of, in the order in which one needs the other. */
const PACKAGES = ['protocol', 'sync-config', 'service'] as const

/**
 * Compiles the service into `folder` as it is published, and returns the entry of a process that runs it: what Node
 * needs to strip types from sources is not in such a process.
 */
export async function compileService(folder: string): Promise<string> {
  const modules = join(folder, 'node_modules')
  await linkDependencies(modules)
  for (const name of PACKAGES) {
    const source = join(ROOT, 'packages', name)
    const target = join(modules, '@headwater', name)
    await mkdir(target, { recursive: true })
    await cp(join(source, 'package.json'), join(target, 'package.json'))
    await runTsc(['-p', join(source, 'tsconfig.build.json'), '--outDir', join(target, 'dist'), ...EMIT_ONLY])
  }
  const entry = join(ROOT, 'packages', 'testkit', 'src', 'service-process-entry.ts')
  await runTsc([entry, '--outDir', folder, ...ENTRY_ONLY])
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  return join(folder, 'service-process-entry.js')
}

/** Types are checked elsewhere, and the packages' own `dist` is left alone. */
const EMIT_ONLY = ['--noCheck', '--composite', 'false', '--declaration', 'false', '--sourceMap', 'false']

/** That file alone, without what it imports. */
const ENTRY_ONLY =
  '--ignoreConfig --noCheck --noResolve --module nodenext --target esnext --verbatimModuleSyntax --types node'.split(
    ' ',
  )

async function runTsc(args: readonly string[]): Promise<void> {
  await promisify(execFile)(process.execPath, [join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), ...args])
}

async function linkDependencies(modules: string): Promise<void> {
  await mkdir(modules)
  for (const name of await readdir(join(ROOT, 'node_modules'))) {
    if (name.startsWith('.') || name === '@headwater') continue
    await symlink(join(ROOT, 'node_modules', name), join(modules, name))
  }
}
