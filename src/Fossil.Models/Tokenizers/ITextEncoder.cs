namespace Fossil.Models.Tokenizers;

/// <summary>What stands before a part of a text that has no added tokens.</summary>
internal enum PartStart
{
    /// <summary>Nothing: the text begins here.</summary>
    Text,

    /// <summary>An added token.</summary>
    AddedToken,

    /// <summary>Other text, which was encoded on its own.</summary>
    OtherText,
}

/// <summary>How text between added tokens becomes ids, and what bytes the ids stand for.</summary>
internal interface ITextEncoder
{
    /// <summary>The bytes of each id of the vocabulary.</summary>
    IEnumerable<KeyValuePair<int, byte[]>> Bytes { get; }

    /// <summary>Appends the ids of a text.</summary>
    void Encode(string text, PartStart start, List<int> ids);
}
