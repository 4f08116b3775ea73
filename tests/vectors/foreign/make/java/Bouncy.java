// Signs with Bouncy Castle, and judges: java -cp ... Bouncy.java make PKI CONTENT OUT | check ANCHORS CONTENT FILE...
import java.io.*;
import java.math.BigInteger;
import java.nio.file.*;
import java.security.*;
import java.security.cert.*;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.*;
import org.bouncycastle.asn1.*;
import org.bouncycastle.asn1.cms.*;
import org.bouncycastle.asn1.ess.*;
import org.bouncycastle.asn1.gm.GMObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.x509.*;
import org.bouncycastle.cert.*;
import org.bouncycastle.cert.jcajce.*;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.*;
import org.bouncycastle.openssl.jcajce.*;
import org.bouncycastle.operator.*;
import org.bouncycastle.operator.jcajce.*;
import org.bouncycastle.tsp.*;
import org.bouncycastle.util.Store;

public class Bouncy {
    static Path pki, out;
    static byte[] content;

    static PrivateKey key(String name) throws Exception {
        try (PEMParser p = new PEMParser(new FileReader(pki.resolve(name + ".key").toFile()))) {
            return new JcaPEMKeyConverter().setProvider("BC").getPrivateKey((PrivateKeyInfo) p.readObject());
        }
    }

    static X509CertificateHolder certificate(String name) throws Exception {
        try (PEMParser p = new PEMParser(new FileReader(pki.resolve(name + ".pem").toFile()))) {
            return (X509CertificateHolder) p.readObject();
        }
    }

    static ContentSigner signer(String name, String algorithm) throws Exception {
        return new JcaContentSignerBuilder(algorithm).setProvider("BC").build(key(name));
    }

    static SignerInfoGenerator info(String name, String algorithm, boolean direct, boolean byKeyId, AttributeTable table) throws Exception {
        SignerInfoGeneratorBuilder b = new SignerInfoGeneratorBuilder(new JcaDigestCalculatorProviderBuilder().setProvider("BC").build());
        b.setDirectSignature(direct);
        if (table != null) b.setSignedAttributeGenerator(new DefaultSignedAttributeTableGenerator(table));
        X509CertificateHolder c = certificate(name);
        if (byKeyId) return b.build(signer(name, algorithm), SubjectKeyIdentifier.fromExtensions(c.getExtensions()).getKeyIdentifier());
        return b.build(signer(name, algorithm), c);
    }

    static CMSSignedData cms(boolean enclosed, String[] certificates, SignerInfoGenerator... infos) throws Exception {
        CMSSignedDataGenerator g = new CMSSignedDataGenerator();
        for (SignerInfoGenerator one : infos) g.addSignerInfoGenerator(one);
        for (String one : certificates) g.addCertificate(certificate(one));
        return g.generate(new CMSProcessableByteArray(content), enclosed);
    }

    static void save(String name, byte[] data) throws Exception { Files.write(out.resolve(name), data); }

    public static void main(String[] a) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        if (a[0].equals("check")) { check(a); return; }
        pki = Paths.get(a[1]); content = Files.readAllBytes(Paths.get(a[2])); out = Paths.get(a[3]);
        String[] chain = {"", "sub"};
        for (String[] one : new String[][] {{"p256", "SHA256withECDSA"}, {"p384", "SHA384withECDSA"}, {"p384", "SHA512withECDSA"}, {"p256", "SHA1withECDSA"}, {"p256", "SHA3-256withECDSA"},
                {"p521", "SHA512withECDSA"}, {"rsa2048", "SHA256withRSA"}, {"rsa2048", "SHA512withRSA"}, {"rsa2048", "SHA1withRSA"}, {"rsa2048", "MD5withRSA"}, {"rsa2048", "SHA256withRSAandMGF1"}, {"rsa2048", "SHA384withRSAandMGF1"}, {"rsa2048", "SHA1withRSAandMGF1"},
                {"ed25519", "Ed25519"}, {"ed448", "Ed448"}, {"sm2", "SM3withSM2"}, {"rsa1024", "SHA256withRSA"}}) {
            String[] certs = {one[0], one[0].equals("sm2") ? "smsub" : "sub"};
            String name = "bc-" + one[0] + "-" + one[1];
            try {
                save(name + ".p7s", cms(false, certs, info(one[0], one[1], false, false, null)).getEncoded());
                if (one[1].startsWith("SHA256with") || one[0].equals("sm2")) {
                    save(name + "-attached.p7s", cms(true, certs, info(one[0], one[1], false, false, null)).getEncoded());
                    save(name + "-ber.p7s", cms(true, certs, info(one[0], one[1], false, false, null)).toASN1Structure().getEncoded("BER"));
                    save(name + "-bare.p7s", cms(false, certs, info(one[0], one[1], true, false, null)).getEncoded());
                    save(name + "-ski.p7s", cms(false, certs, info(one[0], one[1], false, true, null)).getEncoded());
                    byte[] d = MessageDigest.getInstance("SHA-256").digest(certificate(one[0]).getEncoded());
                    ASN1EncodableVector v = new ASN1EncodableVector();
                    v.add(new org.bouncycastle.asn1.cms.Attribute(org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers.id_aa_signingCertificateV2, new DERSet(new SigningCertificateV2(new ESSCertIDv2(d)))));
                    save(name + "-cades.p7s", cms(false, certs, info(one[0], one[1], false, false, new AttributeTable(v))).getEncoded());
                }
            } catch (Exception e) { System.out.println("MAKE " + name + " " + e); }
        }
        // Two signers of two suites; a countersignature; a stream of indefinite lengths.
        save("bc-two-suites.p7s", cms(false, new String[] {"p256", "sub", "sm2", "smsub"}, info("p256", "SHA256withECDSA", false, false, null), info("sm2", "SM3withSM2", false, false, null)).getEncoded());
        CMSSignedData plain = cms(false, new String[] {"p256", "sub", "rsa2048"}, info("p256", "SHA256withECDSA", false, false, null));
        CMSSignedDataGenerator g = new CMSSignedDataGenerator();
        g.addSignerInfoGenerator(info("rsa2048", "SHA256withRSA", false, false, null));
        SignerInformation first = plain.getSignerInfos().iterator().next();
        SignerInformation counter = SignerInformation.addCounterSigners(first, g.generateCounterSigners(first));
        save("bc-countersigned.p7s", CMSSignedData.replaceSigners(plain, new SignerInformationStore(counter)).getEncoded());
        CMSSignedDataStreamGenerator sg = new CMSSignedDataStreamGenerator();
        sg.setBufferSize(500);
        sg.addSignerInfoGenerator(info("p256", "SHA256withECDSA", false, false, null));
        sg.addCertificate(certificate("p256")); sg.addCertificate(certificate("sub"));
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        OutputStream o = sg.open(bytes, true); o.write(content); o.close();
        save("bc-stream.p7s", bytes.toByteArray());
        // With a time stamp over the signature value (CAdES B-T), by an authority of each suite.
        for (String[] t : new String[][] {{"stamper", "SHA256withRSA", "sub"}, {"stamper-ec", "SHA256withECDSA", "sub"}, {"smstamper", "SM3withSM2", "smsub"}, {"p256", "SHA256withECDSA", "sub"}}) try {
            byte[] v = first.getSignature();
            boolean sm = t[0].equals("smstamper");
            AlgorithmIdentifier md = new AlgorithmIdentifier(sm ? GMObjectIdentifiers.sm3 : org.bouncycastle.asn1.nist.NISTObjectIdentifiers.id_sha256);
            DigestCalculator ess = new JcaDigestCalculatorProviderBuilder().setProvider("BC").build().get(md);
            TimeStampTokenGenerator tg = new TimeStampTokenGenerator(info(t[0], t[1], false, false, null), ess, new ASN1ObjectIdentifier("1.2.3.4.1"));
            tg.addCertificates(new CollectionStore(List.of(certificate(t[0]), certificate(t[2]))));
            tg.setAccuracySeconds(1);
            TimeStampRequestGenerator rg = new TimeStampRequestGenerator(); rg.setCertReq(true);
            MessageDigest h = MessageDigest.getInstance(sm ? "SM3" : "SHA-256", "BC");
            TimeStampRequest rq = rg.generate(md.getAlgorithm(), h.digest(v), BigInteger.valueOf(77));
            TimeStampToken token = tg.generate(rq, BigInteger.ONE, new Date());
            ASN1EncodableVector u = new ASN1EncodableVector();
            u.add(new org.bouncycastle.asn1.cms.Attribute(org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers.id_aa_signatureTimeStampToken, new DERSet(token.toCMSSignedData().toASN1Structure())));
            SignerInformation stamped = SignerInformation.replaceUnsignedAttributes(first, new AttributeTable(u));
            save("bc-stamped-" + t[0] + ".p7s", CMSSignedData.replaceSigners(plain, new SignerInformationStore(stamped)).getEncoded());
        } catch (Exception e) { System.out.println("MAKE stamp " + t[0] + " " + e); }
    }

    static class CollectionStore extends org.bouncycastle.util.CollectionStore<X509CertificateHolder> { CollectionStore(List<X509CertificateHolder> l) { super(l); } }

    @SuppressWarnings("unchecked")
    static void check(String[] a) throws Exception {
        byte[] data = Files.readAllBytes(Paths.get(a[2]));
        for (String file : Arrays.copyOfRange(a, 3, a.length)) {
            String said = "OK";
            try {
                byte[] der = Files.readAllBytes(Paths.get(file));
                CMSSignedData s = new CMSSignedData(der);
                if (s.getSignedContent() == null) s = new CMSSignedData(new CMSProcessableByteArray(data), der);
                for (SignerInformation one : s.getSignerInfos().getSigners()) {
                    X509CertificateHolder c = (X509CertificateHolder) s.getCertificates().getMatches(one.getSID()).iterator().next();
                    if (!one.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(c))) said = "INVALID";
                    AttributeTable u = one.getUnsignedAttributes();
                    if (u != null && u.get(org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers.id_aa_signatureTimeStampToken) != null) {
                        TimeStampToken t = new TimeStampToken(ContentInfo.getInstance(u.get(org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers.id_aa_signatureTimeStampToken).getAttrValues().getObjectAt(0)));
                        X509CertificateHolder tc = (X509CertificateHolder) t.getCertificates().getMatches(t.getSID()).iterator().next();
                        t.validate(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(tc));
                        said += " stamped " + t.getTimeStampInfo().getGenTime();
                    }
                }
            } catch (Exception e) { said = e.toString(); }
            System.out.println(Paths.get(file).getFileName() + " bc " + said);
        }
    }
}
