import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

import { HeadwaterError } from '@headwater/protocol'
import type { ServiceOptions, Settings } from '@headwater/service'

import { readInput } from '../read-file.ts'
import { waitForStop } from '../stop-signal.ts'

export type ServeFlags = {
  readonly settings?: string
  readonly config?: string
  readonly databaseUrl?: string
  readonly publication?: string
  readonly slot?: string
  readonly storage?: string
  readonly host?: string
  readonly port?: number
  readonly workers?: number | 'auto'
  readonly audience?: readonly string[]
  readonly jwksUrl?: readonly string[]
  readonly logLevel?: string
}

const SETTINGS_FILE = 'headwater.yaml'
const CONFIG_FILE = 'sync-config.yaml'

/** Runs the service until it is told to stop. Its log goes to standard output. */
export async function runServe(flags: ServeFlags): Promise<void> {
  const stopping = waitForStop()
  const { startService } = await import('@headwater/service')
  const service = await startService(await readServiceOptions(flags, process.env))
  try {
    await Promise.race([stopping, service.ended])
  } finally {
    await service.stop()
  }
}

/** Flags over environment over file. What does not fit the schema, the service itself refuses by name. */
export async function readServiceOptions(flags: ServeFlags, environment: NodeJS.ProcessEnv): Promise<ServiceOptions> {
  const { mergeSettings } = await import('@headwater/service')
  const file = await readSettingsFile(flags.settings)
  const merged = mergeSettings(file, environment, toSettings(flags))
  const configPath = merged['syncConfig']?.['path'] ?? CONFIG_FILE
  if (typeof configPath !== 'string') {
    throw new HeadwaterError('bad-settings', 'Cannot use these settings: syncConfig.path must be the path of a file')
  }
  const content = await readInput(configPath, '--config')
  const options: unknown = { ...merged, syncConfig: { ...merged['syncConfig'], path: configPath, content } }
  return options as ServiceOptions
}

function toSettings(flags: ServeFlags): Settings {
  return {
    source: { url: flags.databaseUrl, publication: flags.publication, slot: flags.slot },
    storage: { path: flags.storage },
    syncConfig: { path: flags.config },
    http: { host: flags.host, port: flags.port, workers: flags.workers },
    auth: { audience: flags.audience, jwksUrls: flags.jwksUrl },
    log: { level: flags.logLevel },
  }
}

async function readSettingsFile(given: string | undefined): Promise<Settings> {
  if (given === undefined && !existsSync(SETTINGS_FILE)) return {}
  const path = given ?? SETTINGS_FILE
  const { parse } = await import('yaml')
  const text = await readInput(path, '--settings')
  const settings = relativeTo(
    dirname(path),
    parseYaml(path, () => parse(text)),
  )
  return settings
}

function parseYaml(path: string, parse: () => unknown): Settings {
  let content: unknown
  try {
    content = parse()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new HeadwaterError('bad-settings', `Cannot read the settings in ${path}: ${reason}`, { cause })
  }
  const rooms = isObject(content) ? Object.entries(content) : undefined
  const wrong = rooms?.find(([, settings]) => !isObject(settings))
  if (rooms !== undefined && wrong === undefined) return Object.fromEntries(rooms) as Settings
  const got = wrong === undefined ? 'something else' : `"${wrong[0]}" without settings under it`
  throw new HeadwaterError(
    'bad-settings',
    `Cannot read the settings in ${path}: expected groups of settings as source: {url: …}, got ${got}`,
  )
}

/** Paths in the file are meant from where the file is. */
function relativeTo(directory: string, settings: Settings): Settings {
  const from = (path: unknown) => (typeof path === 'string' ? resolve(directory, path) : path)
  const withPath = (room: 'storage' | 'syncConfig') => {
    const group = settings[room]
    return group?.['path'] === undefined ? {} : { [room]: { ...group, path: from(group['path']) } }
  }
  return { ...settings, ...withPath('storage'), ...withPath('syncConfig') }
}

function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
