import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.PSSParameterSpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Signs a payload as docs/envelope-format.md says, with nothing but the JDK (17 or newer).
 *
 * <p>{@code java SignEnvelope.java ALGORITHM KEY.pem CHAIN.pem PAYLOAD_TYPE PAYLOAD_FILE > envelope.json}
 *
 * <p>KEY.pem is an unencrypted PKCS#8 key, CHAIN.pem the signer's certificate followed by intermediates.
 * A bank's real key stays in its token: then {@code PrivateKey} comes from a PKCS#11 KeyStore, and the
 * rest of this file is unchanged.
 */
public final class SignEnvelope {
    private SignEnvelope() {}

    public static void main(String[] arguments) throws IOException, GeneralSecurityException {
        if (arguments.length != 5) {
            System.err.println("usage: SignEnvelope ALGORITHM KEY.pem CHAIN.pem PAYLOAD_TYPE PAYLOAD_FILE");
            System.exit(2);
        }
        String algorithm = arguments[0];
        List<Certificate> chain = readChain(Path.of(arguments[2]));
        String payloadType = arguments[3];
        byte[] payload = Files.readAllBytes(Path.of(arguments[4]));

        PublicKey publicKey = chain.get(0).getPublicKey();
        PrivateKey privateKey = readKey(Path.of(arguments[1]), publicKey.getAlgorithm());
        Signature signature = signatureFor(algorithm);
        signature.initSign(privateKey);
        signature.update(preAuthenticationEncoding(payloadType, payload));
        byte[] value = signature.sign();

        System.out.println(toJson(payloadType, payload, keyId(publicKey), algorithm, chain, value));
    }

    /** Section 2 of the document: the bytes that are signed. */
    static byte[] preAuthenticationEncoding(String payloadType, byte[] payload) throws IOException {
        byte[] type = payloadType.getBytes(StandardCharsets.UTF_8);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(("DSSEv1 " + type.length + " ").getBytes(StandardCharsets.US_ASCII));
        out.write(type);
        out.write((" " + payload.length + " ").getBytes(StandardCharsets.US_ASCII));
        out.write(payload);
        return out.toByteArray();
    }

    /** Section 3: SHA-256 of the DER SubjectPublicKeyInfo, which is what getEncoded gives. */
    static String keyId(PublicKey key) throws GeneralSecurityException {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(key.getEncoded()));
    }

    /** Section 4. The JDK's ECDSA value is already DER; the plain P1363 form is not accepted. */
    static Signature signatureFor(String algorithm) throws GeneralSecurityException {
        switch (algorithm) {
            case "ECDSA_P256_SHA256":
                return Signature.getInstance("SHA256withECDSA");
            case "ECDSA_P384_SHA384":
                return Signature.getInstance("SHA384withECDSA");
            case "RSA_PKCS1_SHA256":
                return Signature.getInstance("SHA256withRSA");
            case "ED25519":
                return Signature.getInstance("Ed25519");
            case "RSA_PSS_SHA256":
                Signature pss = Signature.getInstance("RSASSA-PSS");
                pss.setParameter(new PSSParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, 32, 1));
                return pss;
            default:
                throw new GeneralSecurityException("not an algorithm of the document: " + algorithm);
        }
    }

    private static List<Certificate> readChain(Path path) throws IOException, GeneralSecurityException {
        try (var in = Files.newInputStream(path)) {
            return new ArrayList<>(CertificateFactory.getInstance("X.509").generateCertificates(in));
        }
    }

    private static PrivateKey readKey(Path path, String keyAlgorithm) throws IOException, GeneralSecurityException {
        String body = Files.readString(path).lines().filter(line -> !line.startsWith("-----")).collect(Collectors.joining());
        return KeyFactory.getInstance(keyAlgorithm).generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(body)));
    }

    private static String toJson(
            String payloadType, byte[] payload, String keyId, String algorithm, List<Certificate> chain, byte[] value)
            throws GeneralSecurityException {
        Base64.Encoder base64 = Base64.getEncoder();
        List<String> certificates = new ArrayList<>();
        for (Certificate certificate : chain) {
            certificates.add('"' + base64.encodeToString(certificate.getEncoded()) + '"');
        }
        return String.format(
                "{\"payloadType\":\"%s\",\"payload\":\"%s\",\"signatures\":[{\"keyid\":\"%s\",\"alg\":\"%s\",\"certs\":[%s],\"sig\":\"%s\"}]}",
                payloadType, base64.encodeToString(payload), keyId, algorithm, String.join(",", certificates), base64.encodeToString(value));
    }
}
