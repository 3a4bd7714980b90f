using System.Text;

namespace Fossil.Models;

/// <summary>Tokens are the bytes of the text's UTF-8 form: ids 0 to 255, for decoders with a vocabulary of 256.</summary>
public static class ByteTokenizer
{
    /// <summary>Number of ids.</summary>
    public const int VocabSize = 256;

    /// <summary>The ids of <paramref name="text"/>.</summary>
    public static int[] Encode(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return [.. Encoding.UTF8.GetBytes(text).Select(b => (int)b)];
    }

    /// <summary>The text of <paramref name="ids"/>; bytes that are no UTF-8 become U+FFFD.</summary>
    public static string Decode(IEnumerable<int> ids) => Encoding.UTF8.GetString([.. ids.Select(id => checked((byte)id))]);
}
