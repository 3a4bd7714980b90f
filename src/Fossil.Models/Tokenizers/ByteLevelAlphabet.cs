using System.Text;

namespace Fossil.Models.Tokenizers;

/// <summary>
/// GPT-2's alphabet, in which vocabularies spell bytes: printable bytes of Latin-1 stand for themselves, the others for the characters from U+0100 on.
/// So every byte is a visible character, the space "Ġ" and the line feed "Ċ".
/// </summary>
internal static class ByteLevelAlphabet
{
    private static readonly char[] CharOfByte = new char[256];
    private static readonly Dictionary<char, byte> ByteOfChar = [];

    static ByteLevelAlphabet()
    {
        var next = (char)256;
        for (var value = 0; value < 256; value++)
        {
            var isItself = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            CharOfByte[value] = isItself ? (char)value : next++;
            ByteOfChar.Add(CharOfByte[value], (byte)value);
        }
    }

    /// <summary>The spelling of a text's UTF-8 bytes.</summary>
    public static string Spell(string text) => string.Create(Encoding.UTF8.GetByteCount(text), text, static (spelling, text) =>
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        for (var i = 0; i < bytes.Length; i++) spelling[i] = CharOfByte[bytes[i]];
    });

    /// <summary>The bytes of a spelling; null where a character stands for no byte.</summary>
    public static byte[]? Read(string spelling)
    {
        var bytes = new byte[spelling.Length];
        for (var i = 0; i < bytes.Length; i++)
        {
            if (!ByteOfChar.TryGetValue(spelling[i], out bytes[i])) return null;
        }

        return bytes;
    }
}
