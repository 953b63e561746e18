/** A code of RFC 6455, and a word for whoever looks at the connection from outside. */
type Goodbye = readonly [code: number, text: string]

export const GOODBYES = {
  'client-left': [1000, ''],
  'memory-full': [1013, 'messages that are not whole take too much memory'],
  'message-too-large': [1009, 'a message is too large'],
  'protocol-error': [1002, 'a message cannot be understood'],
  'setup-refused': [1008, 'the setup is refused'],
  'setup-timeout': [1008, 'there was no setup in time'],
  'silent-client': [1001, 'nothing was heard for too long'],
  'slow-client': [1008, 'what was sent is not read'],
  stopping: [1001, 'the service is stopping'],
  'token-ended': [1008, 'the token has expired'],
  'token-revoked': [1008, 'the token was revoked'],
  'too-many-connections': [1013, 'too many connections'],
} satisfies Record<string, Goodbye>

/** Why a connection was closed; a label of its metric. */
export type CloseReason = keyof typeof GOODBYES
