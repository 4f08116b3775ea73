// Signs with other people's Node libraries: node sign.mjs IN PKI OUT
import fs from 'node:fs'
import crypto from 'node:crypto'
import path from 'node:path'
import forge from 'node-forge'
import * as asn1js from 'asn1js'
import * as pkijs from 'pkijs'
import { SignPdf } from '@signpdf/signpdf'
import { P12Signer } from '@signpdf/signer-p12'
import { plainAddPlaceholder } from '@signpdf/placeholder-plain'
import { pdflibAddPlaceholder } from '@signpdf/placeholder-pdf-lib'
import { PDFDocument } from 'pdf-lib'
import { SUBFILTER_ETSI_CADES_DETACHED } from '@signpdf/utils'
const [, , from, pki, out] = process.argv
const read = (...p) => fs.readFileSync(path.join(...p))
const save = (name, data) => fs.writeFileSync(path.join(out, name), Buffer.from(data))
const content = read(from, 'content')
const tryIt = async (name, f) => { try { await f() } catch (e) { console.log('MAKE', name, e.message) } }

// node-forge, RSA
for (const attributes of [true, false]) for (const detached of [true, false]) for (const md of ['sha256', 'sha512', 'sha1']) {
  const p7 = forge.pkcs7.createSignedData()
  p7.content = forge.util.createBuffer(content.toString('binary'))
  for (const n of ['rsaleaf']) p7.addCertificate(read(pki, n + '.pem').toString())
  p7.addSigner({ key: read(pki, 'rsaleaf.key').toString(), certificate: read(pki, 'rsaleaf.pem').toString(),
    digestAlgorithm: forge.pki.oids[md], authenticatedAttributes: attributes ? [
      { type: forge.pki.oids.contentType, value: forge.pki.oids.data }, { type: forge.pki.oids.messageDigest },
      { type: forge.pki.oids.signingTime, value: new Date() }] : [] })
  p7.sign({ detached })
  save(`forge-${md}-${detached ? 'detached' : 'attached'}-${attributes ? 'attributes' : 'bare'}.p7s`, Buffer.from(forge.asn1.toDer(p7.toAsn1()).getBytes(), 'binary'))
}

// pkijs over Web Crypto
const engine = new pkijs.CryptoEngine({ name: 'node', crypto: crypto.webcrypto, subtle: crypto.webcrypto.subtle })
pkijs.setEngine('node', engine)
const der = p => Buffer.from(p.toString().replace(/-----[^-]+-----|\s/g, ''), 'base64')
for (const [name, algorithm, hash] of [['p256', { name: 'ECDSA', namedCurve: 'P-256' }, 'SHA-256'], ['p384', { name: 'ECDSA', namedCurve: 'P-384' }, 'SHA-384'],
  ['rsa2048', { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, 'SHA-256'], ['rsa2048-pss', { name: 'RSA-PSS', hash: 'SHA-256' }, 'SHA-256']]) await tryIt('pkijs ' + name, async () => {
  const n = name.split('-')[0]
  const key = await crypto.webcrypto.subtle.importKey('pkcs8', der(read(pki, n + '.key')), algorithm, true, ['sign'])
  const certificate = pkijs.Certificate.fromBER(der(read(pki, n + '.pem')))
  for (const bySki of [false, true]) {
    const signed = new pkijs.SignedData({ version: bySki ? 3 : 1, encapContentInfo: new pkijs.EncapsulatedContentInfo({ eContentType: '1.2.840.113549.1.7.1' }),
      signerInfos: [new pkijs.SignerInfo({ version: bySki ? 3 : 1, sid: bySki ? new asn1js.Primitive({ idBlock: { tagClass: 3, tagNumber: 0 },
        valueHex: certificate.extensions.find(e => e.extnID === '2.5.29.14').parsedValue.valueBlock.valueHex })
        : new pkijs.IssuerAndSerialNumber({ issuer: certificate.issuer, serialNumber: certificate.serialNumber }) })],
      certificates: [certificate] })
    const digest = await crypto.webcrypto.subtle.digest(hash, content)
    signed.signerInfos[0].signedAttrs = new pkijs.SignedAndUnsignedAttributes({ type: 0, attributes: [
      new pkijs.Attribute({ type: '1.2.840.113549.1.9.3', values: [new asn1js.ObjectIdentifier({ value: '1.2.840.113549.1.7.1' })] }),
      new pkijs.Attribute({ type: '1.2.840.113549.1.9.5', values: [new asn1js.UTCTime({ valueDate: new Date() })] }),
      new pkijs.Attribute({ type: '1.2.840.113549.1.9.4', values: [new asn1js.OctetString({ valueHex: digest })] })] })
    await signed.sign(key, 0, hash, content)
    const info = new pkijs.ContentInfo({ contentType: '1.2.840.113549.1.7.2', content: signed.toSchema(true) })
    save(`pkijs-${name}${bySki ? '-ski' : ''}.p7s`, info.toSchema().toBER(false))
  }
})

// @signpdf
await tryIt('signpdf', async () => {
  const signer = () => new P12Signer(read(from, 'rsaleaf.p12'), { passphrase: 'test' })
  const base = read(from, 'base.pdf')
  const doc = await PDFDocument.load(base)
  pdflibAddPlaceholder({ pdfDoc: doc, reason: 'r', contactInfo: 'c', name: 'n', location: 'l' })
  const first = await new SignPdf().sign(Buffer.from(await doc.save()), signer())
  save('signpdf-pdflib.pdf', first)
  const doc2 = await PDFDocument.load(base)
  pdflibAddPlaceholder({ pdfDoc: doc2, reason: 'r', contactInfo: 'c', name: 'n', location: 'l', subFilter: SUBFILTER_ETSI_CADES_DETACHED })
  save('signpdf-pdflib-cades.pdf', await new SignPdf().sign(Buffer.from(await doc2.save({ useObjectStreams: false })), signer()))
})
await tryIt('signpdf plain', async () => {
  const signer = () => new P12Signer(read(from, 'rsaleaf.p12'), { passphrase: 'test' })
  let made = await new SignPdf().sign(plainAddPlaceholder({ pdfBuffer: read(from, 'plain.pdf'), reason: 'r', contactInfo: 'c', name: 'n', location: 'l' }), signer())
  save('signpdf-plain.pdf', made)
  save('signpdf-plain-two.pdf', await new SignPdf().sign(plainAddPlaceholder({ pdfBuffer: made, reason: 'r', contactInfo: 'c', name: 'n', location: 'l' }), signer()))
})
