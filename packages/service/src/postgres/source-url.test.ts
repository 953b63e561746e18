import { expect, test } from 'vitest'
import { describeSource, parseSourceUrl, toTlsOptions } from './source-url.ts'

test('every part of the URL is read, percent-encoded ones too', () => {
  expect(
    parseSourceUrl('postgres://a%40b:p%3Aw%2F@db.example.com:6543/my%20db?sslmode=require&connect_timeout=3'),
  ).toMatchObject({
    host: 'db.example.com',
    port: 6543,
    user: 'a@b',
    password: 'p:w/',
    database: 'my db',
    sslMode: 'require',
    connectTimeoutMs: 3_000,
  })
  expect(parseSourceUrl('postgresql://u@[::1]/d', { PGPASSWORD: 'from outside' })).toMatchObject({
    host: '::1',
    port: 5432,
    password: 'from outside',
    sslMode: 'prefer',
  })
  expect(parseSourceUrl('postgres://u@localhost/d?host=/var/run/postgresql').host).toBe('/var/run/postgresql')
})

test.each([
  ['mysql://u@h/d', 'it starts with "mysql://"'],
  ['nonsense', 'it is not a URL'],
  ['postgres://h/d', 'the user is missing'],
  ['postgres://u@h', 'the database is missing'],
  ['postgres://u@h/d?sslmode=yes', 'sslmode is "yes"'],
  ['postgres://u@h/d?sslrootcert=/nowhere.pem', 'the file "/nowhere.pem" named by sslrootcert cannot be read'],
  ['postgres://u@h/d?connect_timeout=soon', 'connect_timeout is "soon"'],
])('%s is refused: %s', (url, reason) => {
  expect(() => parseSourceUrl(url)).toThrow(reason)
})

test('a password is neither in messages nor in descriptions', () => {
  expect(() => parseSourceUrl('postgres://u:secret@h/d?sslmode=x')).not.toThrow('secret')
  expect(describeSource(parseSourceUrl('postgres://u:secret@h/d'))).toBe('u@h:5432/d')
})

test('each TLS mode checks what it promises', () => {
  const tls = (mode: string): unknown => toTlsOptions(parseSourceUrl(`postgres://u@h/d?sslmode=${mode}`))
  expect(tls('disable')).toBeUndefined()
  expect(tls('prefer')).toMatchObject({ rejectUnauthorized: false })
  expect(tls('require')).toMatchObject({ rejectUnauthorized: false })
  expect(tls('verify-ca')).toMatchObject({ rejectUnauthorized: true, checkServerIdentity: expect.any(Function) })
  expect(tls('verify-full')).toEqual({ rejectUnauthorized: true })
})
