import { type ToldError, tellCode } from './error-response.ts'

/** Clients throw their token away when they see this anywhere in the text of an error. */
const TOKEN_CODES = 'PSYNC_S21'

/** `[CODE] description`, and details on lines of their own: errors where only text can be sent. */
export function formatError(told: ToldError): string {
  const text = formatDescription(told)
  return `[${told.code}] ${told.code.startsWith(TOKEN_CODES) ? text : text.replaceAll(TOKEN_CODES, 'PSYNC-S21')}`
}

/** Where the code has a place of its own. */
export function formatDescription({ description, details }: ToldError): string {
  return [description, ...(details === undefined ? [] : [details])].join('\n  ')
}

/** The same for a stream that broke off: clients know it by a code of its own, with the cause below it. */
export function formatInterruption(cause: ToldError): string {
  const { code, description } = tellCode('internal')
  const isKnown = cause.code !== code || cause.description !== description
  return `[${code}] ${description}${isKnown ? `\n  ${formatError(cause)}` : ''}`
}
