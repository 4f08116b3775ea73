// Signs PDFs with Apache PDFBox and EU DSS: make IN PKI OUT | check TRUST_ROOTS FILE...
import java.io.*;
import java.nio.file.*;
import java.security.*;
import java.security.cert.X509Certificate;
import java.util.*;
import org.apache.pdfbox.Loader;
import org.apache.pdfbox.pdmodel.PDDocument;
import org.apache.pdfbox.pdmodel.interactive.digitalsignature.*;
import org.bouncycastle.cert.jcajce.*;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.jcajce.*;
import eu.europa.esig.dss.enumerations.*;
import eu.europa.esig.dss.model.*;
import eu.europa.esig.dss.model.x509.CertificateToken;
import eu.europa.esig.dss.pades.*;
import eu.europa.esig.dss.pades.signature.PAdESService;
import eu.europa.esig.dss.cades.*;
import eu.europa.esig.dss.cades.signature.CAdESService;
import eu.europa.esig.dss.spi.validation.CommonCertificateVerifier;
import eu.europa.esig.dss.spi.x509.*;
import eu.europa.esig.dss.spi.x509.tsp.*;
import eu.europa.esig.dss.token.*;

public class Pdfs {
    static Path in, pki, out;
    static KeyStore store(String name) throws Exception {
        KeyStore k = KeyStore.getInstance("PKCS12", "BC");
        k.load(new FileInputStream(in.resolve(name + ".p12").toFile()), "test".toCharArray());
        return k;
    }

    static class Cms implements SignatureInterface {
        final String name, algorithm;
        Cms(String n, String a) { name = n; algorithm = a; }
        public byte[] sign(InputStream content) throws IOException {
            try {
                KeyStore k = store(name);
                String alias = k.aliases().nextElement();
                java.security.cert.Certificate[] chain = k.getCertificateChain(alias);
                CMSSignedDataGenerator g = new CMSSignedDataGenerator();
                g.addSignerInfoGenerator(new JcaSignerInfoGeneratorBuilder(new JcaDigestCalculatorProviderBuilder().setProvider("BC").build())
                    .build(new JcaContentSignerBuilder(algorithm).setProvider("BC").build((PrivateKey) k.getKey(alias, "test".toCharArray())), (X509Certificate) chain[0]));
                g.addCertificates(new JcaCertStore(Arrays.asList(chain)));
                return g.generate(new CMSProcessableByteArray(content.readAllBytes()), false).getEncoded();
            } catch (Exception e) { throw new IOException(e); }
        }
    }

    static byte[] pdfbox(byte[] data, String name, String algorithm, COSSub sub) throws Exception {
        try (PDDocument doc = Loader.loadPDF(data)) {
            PDSignature s = new PDSignature();
            s.setFilter(PDSignature.FILTER_ADOBE_PPKLITE);
            s.setSubFilter(sub == COSSub.CADES ? PDSignature.SUBFILTER_ETSI_CADES_DETACHED : sub == COSSub.SHA1 ? PDSignature.SUBFILTER_ADBE_PKCS7_SHA1 : PDSignature.SUBFILTER_ADBE_PKCS7_DETACHED);
            s.setName("name"); s.setReason("抵押"); s.setSignDate(Calendar.getInstance());
            doc.addSignature(s, new Cms(name, algorithm));
            ByteArrayOutputStream o = new ByteArrayOutputStream();
            doc.saveIncremental(o);
            return o.toByteArray();
        }
    }
    enum COSSub { ADBE, CADES, SHA1 }

    static CommonCertificateVerifier verifier() throws Exception {
        CommonCertificateVerifier v = new CommonCertificateVerifier();
        CommonTrustedCertificateSource t = new CommonTrustedCertificateSource();
        for (String n : new String[] {"root", "rsaroot"}) t.addCertificate(eu.europa.esig.dss.spi.DSSUtils.loadCertificate(pki.resolve(n + ".pem").toFile()));
        v.setTrustedCertSources(t);
        CommonCertificateSource more = new CommonCertificateSource();
        more.addCertificate(eu.europa.esig.dss.spi.DSSUtils.loadCertificate(pki.resolve("sub.pem").toFile()));
        v.setAdjunctCertSources(more);
        v.setAIASource(null);
        v.setAlertOnMissingRevocationData(new eu.europa.esig.dss.alert.SilentOnStatusAlert());
        v.setAlertOnUncoveredPOE(new eu.europa.esig.dss.alert.SilentOnStatusAlert());
        v.setAlertOnNoRevocationAfterBestSignatureTime(new eu.europa.esig.dss.alert.SilentOnStatusAlert());
        v.setCheckRevocationForUntrustedChains(true);
        return v;
    }

    static void dss(String name, SignatureLevel level, DigestAlgorithm digest, boolean pss, String file) throws Exception {
        try (Pkcs12SignatureToken token = new Pkcs12SignatureToken(in.resolve(name + ".p12").toFile(), new KeyStore.PasswordProtection("test".toCharArray()))) {
            DSSPrivateKeyEntry key = token.getKeys().get(0);
            KeyEntityTSPSource tsp = new KeyEntityTSPSource(in.resolve("stamper.p12").toFile(), "PKCS12", "test".toCharArray(), "stamper", "test".toCharArray());
            tsp.setTsaPolicy("1.2.3.4");
            boolean pades = level.name().startsWith("PAdES");
            DSSDocument doc = new FileDocument(in.resolve(pades ? "base.pdf" : "content").toFile());
            DSSDocument made;
            if (pades) {
                PAdESSignatureParameters p = new PAdESSignatureParameters();
                p.setSignatureLevel(level); p.setDigestAlgorithm(digest);
                if (pss) p.setEncryptionAlgorithm(EncryptionAlgorithm.RSASSA_PSS);
                p.setSigningCertificate(key.getCertificate()); p.setCertificateChain(key.getCertificateChain());
                PAdESService s = new PAdESService(verifier()); s.setTspSource(tsp);
                ToBeSigned d = s.getDataToSign(doc, p);
                made = s.signDocument(doc, p, token.sign(d, p.getSignatureAlgorithm(), key));
            } else {
                CAdESSignatureParameters p = new CAdESSignatureParameters();
                p.setSignatureLevel(level); p.setDigestAlgorithm(digest); p.setSignaturePackaging(SignaturePackaging.DETACHED);
                if (pss) p.setEncryptionAlgorithm(EncryptionAlgorithm.RSASSA_PSS);
                p.setSigningCertificate(key.getCertificate()); p.setCertificateChain(key.getCertificateChain());
                CAdESService s = new CAdESService(verifier()); s.setTspSource(tsp);
                ToBeSigned d = s.getDataToSign(doc, p);
                made = s.signDocument(doc, p, token.sign(d, p.getSignatureAlgorithm(), key));
            }
            made.save(out.resolve(file).toString());
        }
    }

    public static void main(String[] a) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        if (a[0].equals("check")) { check(a); return; }
        in = Paths.get(a[1]); pki = Paths.get(a[2]); out = Paths.get(a[3]);
        byte[] base = Files.readAllBytes(in.resolve("base.pdf"));
        Files.write(out.resolve("pdfbox-adbe.pdf"), pdfbox(base, "rsa2048", "SHA256withRSA", COSSub.ADBE));
        Files.write(out.resolve("pdfbox-cades.pdf"), pdfbox(base, "p256", "SHA256withECDSA", COSSub.CADES));
        Files.write(out.resolve("pdfbox-sm2.pdf"), pdfbox(base, "sm2", "SM3withSM2", COSSub.ADBE));
        Files.write(out.resolve("pdfbox-pkcs7-sha1.pdf"), pdfbox(base, "rsa2048", "SHA256withRSA", COSSub.SHA1));
        Files.write(out.resolve("pdfbox-three.pdf"), pdfbox(pdfbox(pdfbox(base, "p256", "SHA256withECDSA", COSSub.ADBE), "sm2", "SM3withSM2", COSSub.ADBE), "person", "SHA256withECDSA", COSSub.ADBE));
        Object[][] all = {{"p256", DigestAlgorithm.SHA256, false}, {"p384", DigestAlgorithm.SHA384, false}, {"rsa2048", DigestAlgorithm.SHA512, false}, {"rsa2048", DigestAlgorithm.SHA256, true}};
        for (SignatureLevel level : new SignatureLevel[] {SignatureLevel.PAdES_BASELINE_B, SignatureLevel.PAdES_BASELINE_T, SignatureLevel.PAdES_BASELINE_LT, SignatureLevel.PAdES_BASELINE_LTA, SignatureLevel.CAdES_BASELINE_B, SignatureLevel.CAdES_BASELINE_T, SignatureLevel.CAdES_BASELINE_LT, SignatureLevel.CAdES_BASELINE_LTA})
            for (Object[] one : all) {
                String file = "dss-" + level + "-" + one[0] + ((Boolean) one[2] ? "-pss" : "") + (level.name().startsWith("PAdES") ? ".pdf" : ".p7s");
                try { dss((String) one[0], level, (DigestAlgorithm) one[1], (Boolean) one[2], file); }
                catch (Throwable e) { System.out.println("MAKE " + file + " " + e); }
            }
    }

    static void check(String[] a) throws Exception {
        pki = Paths.get(a[1]);
        DSSDocument content = new FileDocument(a[2]);
        for (String file : Arrays.copyOfRange(a, 3, a.length)) try {
            eu.europa.esig.dss.validation.SignedDocumentValidator v = eu.europa.esig.dss.validation.SignedDocumentValidator.fromDocument(new FileDocument(file));
            v.setCertificateVerifier(verifier());
            if (!file.endsWith(".pdf")) v.setDetachedContents(List.of(content));
            eu.europa.esig.dss.simplereport.SimpleReport r = v.validateDocument().getSimpleReport();
            for (String id : r.getSignatureIdList())
                System.out.println(Paths.get(file).getFileName() + " dss " + r.getIndication(id) + " " + r.getSubIndication(id) + " " + r.getSignatureFormat(id) + " " + r.getAdESValidationErrors(id).stream().map(m -> m.getValue()).toList());
        } catch (Throwable e) { System.out.println(file + " dss " + e); }
    }
}
