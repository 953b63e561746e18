import { readFileSync } from 'node:fs'

import { Command, InvalidArgumentError, Option } from 'commander'

import { EXIT_USAGE } from './report.ts'

/**
 * The whole command line on one screen. Each verb's file is loaded when it runs, so that `headwater token` does not
 * wait for a database driver. `docs/reference/cli.md` is checked against this.
 */
export function createProgram(): Command {
  const program = new Command('headwater')
    .description('Keeps SQLite databases on devices in sync with PostgreSQL.')
    .version(readVersion(), '-V, --version', 'print the version')
    .helpCommand(false)
    .showHelpAfterError('Run headwater --help, or headwater <verb> --help.')
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : EXIT_USAGE))
  for (const add of [addDev, addServe, addCheck, addPreview, addSchema, addToken, addStatus, addRevoke, addCompact])
    add(program)
  return program
}

const configOption = () => new Option('-c, --config <file>', 'the sync config').default('sync-config.yaml')

function addDev(program: Command): void {
  program
    .command('dev')
    .description('Run everything for development: Postgres unless you name one, the service, and tokens for anybody.')
    .addOption(configOption())
    .option('--database-url <url>', 'use this Postgres instead of starting one (or HEADWATER_SOURCE_URL)')
    .option('--init <file>', 'SQL to run once, when the Postgres started here is new')
    .option('--data-dir <directory>', 'where everything is kept between runs', '.headwater')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('-p, --port <number>', 'port of the service; the next one issues tokens', parsePort, 8080)
    .option(
      '--postgres-port <number>',
      'port of the Postgres started here (default: the last one, or a free one)',
      parsePort,
    )
    .addOption(logLevelOption().default('warn'))
    .action(async (options) => (await import('./verbs/dev.ts')).runDev(options))
}

function addServe(program: Command): void {
  program
    .command('serve')
    .description('Run the service. Flags win over HEADWATER_… variables, and those over the settings file.')
    .option('-s, --settings <file>', 'the settings file (default: headwater.yaml where there is one)')
    .option('-c, --config <file>', 'the sync config (default: sync-config.yaml, or the settings file says)')
    .option('--database-url <url>', 'the Postgres to replicate from')
    .option('--publication <name>', 'publication to read')
    .option('--slot <name>', 'replication slot to read')
    .option('--storage <directory>', 'where the buckets are stored')
    .option('--host <address>', 'address to listen on')
    .option('-p, --port <number>', 'port to listen on', parsePort)
    .option('--workers <number>', 'processes that serve clients beside the one that replicates, or auto', parseWorkers)
    .option('--audience <name...>', 'audiences that tokens may have')
    .option('--jwks-url <url...>', 'where the public keys of the token issuer are')
    .addOption(logLevelOption())
    .action(async (options) => (await import('./verbs/serve.ts')).runServe(options))
}

function addCheck(program: Command): void {
  program
    .command('check')
    .description('Say everything that is wrong with a sync config and, given a Postgres, with its set-up.')
    .argument('[file]', 'the sync config, like --config')
    .addOption(configOption())
    .option(
      '--database-url <url>',
      'compare with the tables of this Postgres, and check its set-up (or HEADWATER_SOURCE_URL)',
    )
    .option('--publication <name>', 'publication that the service will read', 'headwater')
    .option('--slot <name>', 'replication slot that the service will read', 'headwater')
    .option('--json', 'print JSON')
    .action(async (file: string | undefined, options) => {
      const { runCheck } = await import('./verbs/check.ts')
      await runCheck(file === undefined ? options : { ...options, config: file })
    })
}

function addPreview(program: Command): void {
  program
    .command('preview')
    .description('Show which rows a client would get, from files alone: no database, no service.')
    .requiredOption('-c, --config <file>', 'the sync config')
    .requiredOption('-d, --data <file>', 'tables and rows, as JSON')
    .requiredOption('-r, --request <file>', 'token claims, parameters and subscriptions, as JSON')
    .option('--json', 'print JSON')
    .action(async (options) => (await import('./verbs/preview.ts')).runPreview(options))
}

function addSchema(program: Command): void {
  program
    .command('schema')
    .description('Print the JSON schema of sync configs, by which editors complete and check them.')
    .action(async () => (await import('./verbs/schema.ts')).runSchema())
}

function addToken(program: Command): void {
  program
    .command('token')
    .description('Issue a token for development, signed with a shared secret.')
    .requiredOption('-u, --user <id>', 'the user, as in auth.user_id()', parseUser)
    .option('--secret <text>', 'the HS256 secret (or HEADWATER_JWT_SECRET; default: that of headwater dev)')
    .option('--audience <name>', 'audience of the token', 'headwater-dev')
    .option('--ttl <seconds>', 'how long it is good for, at most 86400', parseSeconds, 3600)
    .option('--claims <json>', 'more claims, as a JSON object')
    .option('--data-dir <directory>', 'where headwater dev keeps its secret', '.headwater')
    .action(async (options) => (await import('./verbs/token.ts')).runToken(options))
}

function addStatus(program: Command): void {
  program
    .command('status')
    .description('Ask a running service how it is. Exit status 1 unless it is ready.')
    .option('--url <url>', 'address of the service', 'http://127.0.0.1:8080')
    .option('--json', 'print JSON')
    .action(async (options) => (await import('./verbs/status.ts')).runStatus(options))
}

function addRevoke(program: Command): void {
  program
    .command('revoke')
    .description("End a user's sync streams at once, and refuse the tokens that were issued before.")
    .requiredOption('-u, --user <id>', 'the user, as in auth.user_id()', parseUser)
    .option('--client <id>', 'only what this client of the user does')
    .option('--token-id <jti>', 'only the token with this id')
    .option('--issued-before <moment>', 'only tokens from before, such as 2030-01-31T12:00:00Z; default: up to now')
    .addOption(operatorUrlOption())
    .addOption(apiTokenOption())
    .option('--json', 'print JSON')
    .action(async (options) => (await import('./verbs/revoke.ts')).runRevoke(options))
}

function addCompact(program: Command): void {
  program
    .command('compact')
    .description('Compact the stored buckets now, and say what that has done. It also happens by itself.')
    .addOption(operatorUrlOption())
    .addOption(apiTokenOption())
    .option('--json', 'print JSON')
    .action(async (options) => (await import('./verbs/compact.ts')).runCompact(options))
}

function operatorUrlOption(): Option {
  return new Option('--url <url>', 'address of the service, for operators').default('http://127.0.0.1:8080')
}

function apiTokenOption(): Option {
  return new Option('--api-token <token>', 'a token of an operator (or the first of HEADWATER_API_TOKENS)')
}

function readVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
  return manifest.version
}

function logLevelOption(): Option {
  return new Option('--log-level <level>', 'what to log').choices(['silent', 'error', 'warn', 'info', 'debug'])
}

function parsePort(text: string): number {
  const port = Number(text)
  if (/^\d+$/.test(text) && port <= 65_535) return port
  throw new InvalidArgumentError('Expected a number from 0 to 65535.')
}

function parseWorkers(text: string): number | 'auto' {
  if (text === 'auto') return text
  if (/^\d+$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Expected a whole number, or auto.')
}

function parseUser(text: string): string {
  if (text.trim() !== '') return text
  throw new InvalidArgumentError('Expected the id of a user.')
}

function parseSeconds(text: string): number {
  const seconds = Number(text)
  if (/^\d+$/.test(text) && seconds > 0 && seconds <= 86_400) return seconds
  throw new InvalidArgumentError('Expected a whole number of seconds from 1 to 86400.')
}
